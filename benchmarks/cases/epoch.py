"""An epoch of the Keras recipe's network, for all contestants."""

from benchmarks.contestants import ARTICLE, CONTESTANTS, FLOOR, JAX, SKAE, installed
from benchmarks.measure import complaints, interleave, running, warm_up
from benchmarks.results import Case, Goal, Result, Row, ratio, timed_rows

RIVALS = (ARTICLE, JAX, FLOOR)
ADAM, MUON = "skae with Adam", "skae with Muon"
ALL_THREADS, ONE_THREAD = "skae, all threads", "skae, one thread"
SKAE_FIT = "benchmarks.contestants.skae_fit"


def run(settings):
    targets, missing = installed()
    more_rounds = 2 * settings.short_rounds  # rounds vary by a fifth if neighbours are busy
    with running(targets, settings.mnist) as (workers, failures):
        samples = sample_epochs(workers, settings, settings.rounds, failures)
        rows = [_row(name, seconds, workers[name]) for name, seconds in samples.items()]
        judged = {name: workers[name] for name in (SKAE, *RIVALS) if name in samples}
        for name, more in sample_epochs(judged, settings, more_rounds, failures).items():
            samples[name] += more
    trained = settings.epochs * (settings.rounds + 1)
    return Result(
        [ratio(samples, SKAE, rival) for rival in RIVALS],
        rows,
        [
            f"{settings.mnist.n_rows} rows, batch 256; one call trains {settings.epochs} epochs, "
            f"and the test losses are those after {trained} epochs for everyone. Those that the "
            f"goals name are measured {more_rounds} times more.",
            *[f"{name}: not installed" for name in missing],
            *complaints(failures),
        ],
    )


def sample_epochs(workers, settings, rounds, failures):
    """Seconds of an epoch, after a call that compiles."""
    n = settings.epochs
    warm_up(workers, "epochs", (n,), failures)
    measures = {
        name: lambda w=worker: w.call("epochs", n)[0] / n for name, worker in workers.items()
    }
    return interleave(measures, rounds, failures)


def run_optimizers(settings):
    return _run_pair(settings, {MUON: f"{SKAE_FIT}:Muon", ADAM: f"{SKAE_FIT}:Training"})


def run_threads(settings):
    return _run_pair(
        settings, {ALL_THREADS: f"{SKAE_FIT}:Training", ONE_THREAD: f"{SKAE_FIT}:OneThread"}
    )


def _run_pair(settings, targets):
    """Compare the first of two contestants with the second."""
    with running(targets, settings.mnist) as (workers, failures):
        samples = sample_epochs(workers, settings, settings.short_rounds, failures)
    return Result([ratio(samples, *targets)], timed_rows(samples), complaints(failures))


def _row(name, seconds, worker):
    reached = worker.call("errors")[1] or {}
    return Row(name, seconds, remark=CONTESTANTS[name].remark, **reached)


CASE = Case(
    "epoch",
    "An epoch on MNIST, the article's network, batch 256",
    (
        Goal("epoch: skae / article's `Model.fit`", 1 / 3.5, 1 / 5, "1/x"),
        Goal("epoch: skae / JAX `lax.scan`", 1.1, 0.8, "x"),
        Goal("epoch: skae / matrix products alone", 1.6, 1.2, "x"),
    ),
    run,
)
OPTIMIZERS = Case(
    "muon-epoch",
    "An epoch with Muon against one with Adam, batch 256",
    (Goal("epoch: Muon / Adam", 1.25, 1.1, "x"),),
    run_optimizers,
)
THREADS = Case(
    "threads",
    "An epoch with Adam on all threads against one on one thread, batch 256",
    (Goal("epoch: all threads / one thread", 1.02, 0.7, "x"),),
    run_threads,
)
