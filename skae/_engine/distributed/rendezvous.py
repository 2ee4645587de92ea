"""Waiting for the workers of a cluster, with a time limit.

The constructor of ``MultiWorkerMirroredStrategy`` returns when all workers have connected.  Until
then it holds the interpreter's lock, so that no thread, timer or Ctrl-C can end the wait.  So the
workers meet before it is called.  All others connect to the first worker, at the address where
TensorFlow's server will listen later, and keep the connection open.  In every round, the first
worker tells them which workers are missing.  A worker that does not answer counts as missing.  When
all have answered in one round, the first worker lets them continue.
"""

import contextlib
import socket
import time
from typing import Any

from skae._checks import check_number

PATIENCE = 5.0  # seconds after which a worker that does not answer counts as missing

PAUSE = 0.2  # seconds between two rounds, or two attempts to connect

MISSING, GO = b"missing ", b"go\n"  # messages of the first worker


def wait_for_workers(timeout: float = 600.0, *, cluster_resolver: Any = None) -> None:
    """Wait until all workers of a cluster have connected, or raise an error.

    Call it on each worker immediately before ``tf.distribute.MultiWorkerMirroredStrategy()``, which
    itself waits for an hour and cannot be interrupted.  It returns at once if there are no other
    workers, for example without ``TF_CONFIG``.

    Parameters
    ----------
    timeout : float, default=600
        Seconds to wait for the others, from the call on; above 0.
    cluster_resolver : tf.distribute.cluster_resolver.ClusterResolver, default=None
        The source of the workers' addresses, if you also pass it to the strategy.  None reads them
        from the environment variable ``TF_CONFIG``.

    Raises
    ------
    TimeoutError
        If not all workers connect within ``timeout``; the message names those that are missing.
    OSError
        If the first worker cannot listen at its port.
    TypeError
        If ``timeout`` is not a number, or ``cluster_resolver`` is not a resolver.
    ValueError
        If ``timeout`` is not above 0, or if an address does not have the form ``host:port``.

    Notes
    -----
    A worker that disconnects before all have come counts as missing until it connects again.  So
    does a worker that stops answering; then the error may come up to 15 seconds later.  Until all
    workers have come, the first one listens at its own address.  The others must be able to reach
    it there, which training needs as well.

    Examples
    --------
    >>> import skae
    >>> skae.wait_for_workers(timeout=60)
    """
    check_number("timeout", timeout, low=0, above=True)
    if cluster_resolver is not None and not hasattr(cluster_resolver, "cluster_spec"):
        raise TypeError(
            "cluster_resolver must be a ClusterResolver of TensorFlow or None; got "
            f"{cluster_resolver!r}."
        )
    from skae._engine.tensorflow import tf

    meet(cluster_resolver or tf.distribute.cluster_resolver.TFConfigClusterResolver(), timeout)


def meet(resolver: Any, timeout: float, patience: float = PATIENCE) -> None:
    """Wait for the workers of a cluster; raise TimeoutError if some are missing.

    Parameters
    ----------
    resolver : ClusterResolver
        Describes the cluster and this worker.
    timeout : float
        Seconds to wait for the others.
    patience : float, default=PATIENCE
        Seconds after which a worker that does not answer counts as missing.
    """
    deadline = time.monotonic() + timeout
    addresses = _addresses(resolver.cluster_spec())
    names, me = list(addresses), f"{resolver.task_type} {resolver.task_id}"
    if me not in names or len(names) == 1:  # an evaluator, or the only worker
        return
    first, number = _host_and_port(names[0], addresses[names[0]]), names.index(me)
    missing = (
        _follow(first, number, len(names), deadline, patience)
        if number
        else _lead(first[1], len(names), deadline, patience)
    )
    if missing:
        who = ", ".join(f"{names[i]} ({addresses[names[i]]})" for i in missing)
        raise TimeoutError(
            f"{len(missing)} of {len(names)} workers did not connect within {timeout:g} s: {who}. "
            "See their logs. Check that each has the same cluster in TF_CONFIG, calls "
            f"wait_for_workers, and can reach {names[0]} at {addresses[names[0]]}. Then start all "
            "workers again."
        )


def _addresses(cluster: Any) -> dict[str, str]:
    """Map the names of the workers to their addresses; TensorFlow's leader comes first."""
    return {
        f"{job} {index}": cluster.task_address(job, index)
        for job in ("chief", "worker")
        if job in cluster.jobs
        for index in cluster.task_indices(job)
    }


def _host_and_port(name: str, address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise ValueError(f"The address of {name} must have the form host:port; got {address!r}.")
    return host.strip("[]"), int(port)


def _lead(port: int, n_workers: int, deadline: float, patience: float) -> list[int]:
    """Act as the first worker: let the others continue when all have connected.

    Return the numbers of the workers that are missing at the deadline.
    """
    expected = set(range(1, n_workers))
    present: dict[int, socket.socket] = {}
    with _listen(port, n_workers) as listener:
        listener.settimeout(PAUSE)
        try:
            while True:
                _admit(listener, present, n_workers, patience)
                _ask(present, expected - present.keys(), patience)
                missing = expected - present.keys()
                if not missing:
                    for peer in present.values():
                        peer.sendall(GO)
                if not missing or time.monotonic() > deadline:
                    return sorted(missing)
        finally:
            for peer in present.values():
                peer.close()


def _listen(port: int, n_workers: int) -> socket.socket:
    """Listen at the port in IPv4 and IPv6, which TensorFlow's server will do as well."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, backlog=n_workers, dualstack_ipv6=True
        )
    return socket.create_server(("", port), backlog=n_workers)


def _admit(
    listener: socket.socket, present: dict[int, socket.socket], n_workers: int, patience: float
) -> None:
    """Add a worker if one connects.

    Connections with another greeting, or with the number of a worker that is present, are closed.
    """
    try:
        peer, _ = listener.accept()
    except (TimeoutError, ConnectionError):
        return
    peer.settimeout(patience)
    with contextlib.suppress(OSError), peer.makefile("rb") as lines:
        greeting = lines.readline(64)
        for number in range(1, n_workers):
            if greeting == _greeting(number, n_workers) and number not in present:
                present[number] = peer
                return
    peer.close()


def _ask(present: dict[int, socket.socket], missing: set[int], patience: float) -> None:
    """Tell the present workers which ones are missing; remove those that do not answer."""
    for peer in present.values():
        with contextlib.suppress(OSError):
            peer.sendall(MISSING + " ".join(map(str, sorted(missing))).encode() + b"\n")
    end = time.monotonic() + patience
    for number, peer in list(present.items()):
        answer = b""
        with contextlib.suppress(OSError):
            peer.settimeout(max(end - time.monotonic(), PAUSE))
            answer = peer.recv(1)
        if not answer:
            present.pop(number).close()


def _follow(
    first: tuple[str, int], number: int, n_workers: int, deadline: float, patience: float
) -> list[int]:
    """Act as another worker: answer the first one until it lets this worker continue.

    Return the numbers of the workers that are missing at the deadline.
    """
    missing = {0}
    while (left := deadline - time.monotonic()) > 0:
        try:
            with (
                socket.create_connection(first, timeout=min(left, patience)) as peer,
                peer.makefile("rb") as lines,
            ):
                peer.sendall(_greeting(number, n_workers))
                while (line := lines.readline(16 * n_workers)) != GO:
                    if not line.startswith(MISSING):
                        raise ConnectionError("another program listens at this address")
                    missing = set(map(int, line.removeprefix(MISSING).split()))
                    if time.monotonic() > deadline:
                        return sorted(missing)
                    # After an answer, the first worker may let this one continue at any time.  It
                    # first waits for the answers of the others, so wait for longer than it does.
                    peer.settimeout(3 * patience)
                    peer.sendall(b".")
                return []
        except OSError:
            missing.add(0)
            time.sleep(PAUSE)
    return sorted(missing)


def _greeting(number: int, n_workers: int) -> bytes:
    return f"skae {number} of {n_workers}\n".encode()
