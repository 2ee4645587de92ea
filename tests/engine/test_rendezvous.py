"""Workers that meet before they make TensorFlow's strategy; threads with sockets stand for them."""

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from skae import wait_for_workers
from skae._engine.distributed.rendezvous import meet


def free_addresses(n):
    sockets = [socket.socket() for _ in range(n)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return addresses


@pytest.fixture
def addresses():
    return free_addresses(3)


@pytest.fixture
def arrive(addresses):
    """Return a function that starts a worker on a thread; its future has the error, or None."""

    def come(index, after, timeout):
        time.sleep(after)
        wait_for_workers(timeout, cluster_resolver=resolver(addresses, index))

    with ThreadPoolExecutor(8) as pool:
        yield lambda index, after=0.0, timeout=20.0: pool.submit(come, index, after, timeout)


def resolver(addresses, index, kind="worker", **others):
    cluster = tf.train.ClusterSpec({"worker": addresses, **others})
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        cluster, task_type=kind, task_id=index, rpc_layer="grpc"
    )


def connect(address, seconds=10):
    """Connect as soon as a worker listens."""
    host, port = address.split(":")
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((host, int(port)), timeout=5)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize("delays", [(0, 0, 0), (1, 0, 0.5), (0, 0.5, 1)])
def test_workers_wait_for_the_last(arrive, delays):
    start = time.monotonic()
    workers = [arrive(index, after) for index, after in enumerate(delays)]

    assert [worker.result() for worker in workers] == [None] * 3
    assert max(delays) <= time.monotonic() - start < max(delays) + 5


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_error_names_missing_worker_in_time(arrive, addresses, lost):
    start = time.monotonic()
    workers = [arrive(index, timeout=1.0) for index in range(3) if index != lost]

    for worker in workers:
        with pytest.raises(
            TimeoutError, match=rf"did not connect within 1 s: .*worker {lost}"
        ) as info:
            worker.result()
        assert f"worker {lost} ({addresses[lost]})" in str(info.value)
    assert 1 <= time.monotonic() - start < 4


def test_worker_that_left_is_missing(arrive):
    first, second, third = arrive(0, timeout=3), arrive(1, timeout=0.5), arrive(2, 1.5, timeout=1.5)

    with pytest.raises(TimeoutError, match=r"worker 2 "):
        second.result()
    for worker in (first, third):
        with pytest.raises(TimeoutError, match=r"worker 1 "):
            worker.result()


def test_worker_that_left_may_return(arrive):
    first, second = arrive(0), arrive(1, timeout=0.5)
    with pytest.raises(TimeoutError):
        second.result()

    others = [arrive(1), arrive(2, 0.5)]

    assert [worker.result() for worker in (first, *others)] == [None] * 3


def test_first_worker_that_left_may_return(arrive):
    others = [arrive(1)]
    with pytest.raises(TimeoutError, match=r"did not connect within 0\.01 s"):
        arrive(0, timeout=0.01).result()

    others.append(arrive(2))
    first = arrive(0, 0.5)

    assert [worker.result() for worker in (first, *others)] == [None] * 3


def test_silent_worker_is_missing(addresses):
    def come(number, timeout):
        meet(resolver(addresses, number), timeout, patience=0.3)

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(come, 0, 1.5), pool.submit(come, 1, 1)]
        with connect(addresses[0]) as silent:
            silent.sendall(b"skae 2 of 3\n")

            for worker in workers:
                with pytest.raises(TimeoutError, match=r"worker 2 "):
                    worker.result()


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"skae 1 of 2\n", b"skae 0 of 3\n", b""]
)
def test_strangers_replace_no_worker(arrive, addresses, said):
    first = arrive(0)
    with connect(addresses[0]) as stranger:
        stranger.sendall(said)
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(100) == b""

    others = [arrive(1), arrive(2)]

    assert [worker.result() for worker in (first, *others)] == [None] * 3


def test_stranger_is_not_the_first_worker(arrive, addresses):
    with socket.create_server(("127.0.0.1", int(addresses[0].split(":")[1]))) as server:
        worker = arrive(1, timeout=1)
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        with pytest.raises(TimeoutError, match=r"worker 0 "):
            worker.result()


def test_port_in_use_is_refused(addresses):
    port = int(addresses[0].split(":")[1])
    with socket.create_server(("", port)), pytest.raises(OSError, match=str(port)):
        wait_for_workers(cluster_resolver=resolver(addresses, 0))


@pytest.mark.parametrize("index", [0, 1])
def test_interrupt_ends_the_wait(addresses, index):
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()

    with pytest.raises(KeyboardInterrupt):
        wait_for_workers(20, cluster_resolver=resolver(addresses, index))


def test_chief_is_the_first_worker():
    chief, worker = free_addresses(2)

    def come(kind):
        wait_for_workers(20, cluster_resolver=resolver([worker], 0, kind, chief=[chief]))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(come, ["worker", "chief"])) == [None, None]
    with pytest.raises(TimeoutError, match=rf"chief 0 \({chief}\)"):
        wait_for_workers(0.1, cluster_resolver=resolver([worker], 0, chief=[chief]))


def test_single_worker_does_not_wait(addresses, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)

    wait_for_workers()
    wait_for_workers(cluster_resolver=resolver(addresses[:1], 0))
    wait_for_workers(cluster_resolver=resolver(addresses[:1], 0, "evaluator", evaluator=["a:1"]))


def test_parameters_are_checked(addresses):
    with pytest.raises(ValueError, match="timeout must be a number above 0"):
        wait_for_workers(0)
    with pytest.raises(TypeError, match="timeout must be a number above 0; got '1'"):
        wait_for_workers("1")
    with pytest.raises(ValueError, match="address of worker 0 must have the form host:port"):
        wait_for_workers(cluster_resolver=resolver(["localhost", addresses[1]], 1))
