"""Measurements: each contestant in a separate process, in turns, and warmed up."""

import contextlib
import importlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import traceback

SETTLE = 0.2  # seconds: OpenBLAS' and Eigen's idle threads spin for a while before they sleep


class Failed(Exception):
    """A contestant raised, or its process died."""


class Worker:
    """A contestant in a separate process, which has no threads of other frameworks.

    ``target`` names its class as ``"module:Class"``.  The process imports the module and
    loads the data; then it makes the contestant from the data, in ``seconds_to_make``.
    """

    def __init__(self, target, data):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, target, data), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.seconds_to_make, _ = self._receive()
        except Failed:
            self.close()
            raise

    def call(self, method, *args):
        """Call a method; return the seconds it took and its value."""
        seconds, value = self._ask(method, args, times=1)
        return seconds[0], value

    def repeat(self, method, times):
        """Median seconds of a method called in a row."""
        seconds, _ = self._ask(method, (), times=times)
        return statistics.median(seconds)

    def _ask(self, *request, times):
        try:
            self._pipe.send((*request, times))
        except OSError:
            raise Failed("the process is gone") from None
        return self._receive()

    def _receive(self):
        try:
            seconds, value, error = self._pipe.recv()
        except (EOFError, OSError):
            raise Failed("the process died") from None
        if error:
            print(error, file=sys.stderr)
            raise Failed(error.strip().splitlines()[-1])
        return seconds, value

    def close(self):
        self._pipe.close()  # ends the process' loop
        self._process.join(timeout=10)
        self._process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _serve(pipe, target, data):
    # TensorFlow prints banners, some despite all settings, which would disturb the progress report
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        module, name = target.split(":")
        factory = getattr(importlib.import_module(module), name)
        arrays = data.load()
        seconds, contestant = _timed(factory, *arrays)
        pipe.send((seconds, None, None))
        while True:
            method, args, times = pipe.recv()
            calls = [_timed(getattr(contestant, method), *args) for _ in range(times)]
            pipe.send(([seconds for seconds, _ in calls], calls[-1][1], None))
    except EOFError:
        pass
    except Exception:
        pipe.send((None, None, traceback.format_exc()))


def _timed(function, *args):
    start = time.perf_counter()
    value = function(*args)
    return time.perf_counter() - start, value


def start_workers(targets, data):
    """Start a worker for each name; return the workers that started, and errors of the others.

    ``targets`` maps names to ``"module:Class"``.
    """
    workers, failures = {}, {}
    for name, target in targets.items():
        try:
            workers[name] = Worker(target, data)
        except Failed as failure:
            failures[name] = str(failure)
    return workers, failures


@contextlib.contextmanager
def running(targets, data):
    """`start_workers`, and end them afterwards."""
    workers, failures = start_workers(targets, data)
    try:
        yield workers, failures
    finally:
        for worker in workers.values():
            worker.close()


def interleave(measures, rounds, failures, settle=SETTLE):
    """Measure in turns, A B C A B C ..., so that drifts of the machine's speed affect all equally.

    ``measures`` maps names to functions that return one sample.  A contestant that fails is
    left out, and its error goes into ``failures``.  Each turn begins after ``settle`` seconds.
    """
    samples = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            if name in failures:
                continue
            time.sleep(settle)
            try:
                samples[name].append(measure())
            except Failed as failure:
                failures[name] = str(failure)
    return {name: taken for name, taken in samples.items() if name not in failures}


def warm_up(workers, method, args, failures):
    """Call a method once, so that compilation is over before the measurement."""
    for name, worker in workers.items():
        try:
            worker.call(method, *args)
        except Failed as failure:
            failures[name] = str(failure)


def fresh(code, *args):
    """Run a script in a new interpreter; return the last line that it printed, read as JSON."""
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def complaints(failures):
    return [f"{name} failed: {why}" for name, why in failures.items()]
