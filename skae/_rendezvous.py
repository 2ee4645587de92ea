"""The wait for a cluster's workers, within a limit, before TensorFlow waits without one.

The constructor of ``MultiWorkerMirroredStrategy`` returns when all workers have come.  Until then
it holds the interpreter: no thread, no timer and no Ctrl-C of Python's gets through.  So the
workers meet before it.  All but the first report to the first, at the address at which
TensorFlow's server is about to listen, and keep the connection.  In rounds the first tells them
who is missing, and who does not answer is missing, too; when all have answered in one round, it
lets them go.
"""

import contextlib
import socket
import time
from typing import Any

from skae._parameters import check_number

PATIENCE = 5.0  # seconds: who takes longer for an answer is gone
PAUSE = 0.2  # seconds between two rounds, or attempts to connect
MISSING, GO = b"missing ", b"go\n"  # what the first tells the others


def wait_for_workers(timeout: float = 600.0, *, cluster_resolver: Any = None) -> None:
    """Wait until all workers of a cluster have come, or raise.

    To be called on each worker right before ``tf.distribute.MultiWorkerMirroredStrategy()``,
    which itself waits for an hour and cannot be interrupted.  Returns at once where there are no
    other workers, as without ``TF_CONFIG``.

    Parameters
    ----------
    timeout : float, default=600
        Seconds to wait for the others, counted from the call; above 0.
    cluster_resolver : tf.distribute.cluster_resolver.ClusterResolver, default=None
        What knows the workers' addresses, where it is given to the strategy as well.  By default
        the environment variable ``TF_CONFIG`` tells them.

    Raises
    ------
    TimeoutError
        If not all workers have come within ``timeout``; the message names those that are missing.
    OSError
        If the first worker cannot listen at its port.
    ValueError
        If ``timeout`` is not above 0, or an address is not of the form ``host:port``.

    Notes
    -----
    A worker that goes away before all have come counts as missing until it comes again, and so
    does one that falls silent, for which the error may come up to 15 seconds later.  The first
    worker listens at its own address meanwhile, which the others have to be able to reach, as for
    the training itself.

    Examples
    --------
    >>> import skae
    >>> skae.wait_for_workers(timeout=60)
    """
    check_number("timeout", timeout, low=0, above=True)
    from skae._keras import tf

    resolver = cluster_resolver or tf.distribute.cluster_resolver.TFConfigClusterResolver()
    addresses = _addresses(resolver.cluster_spec())
    names, me = list(addresses), f"{resolver.task_type} {resolver.task_id}"
    if me not in names or len(names) == 1:  # an evaluator, or nobody to wait for
        return
    deadline = time.monotonic() + timeout
    number, (host, port) = names.index(me), _host_and_port(names[0], addresses[names[0]])
    missing = (
        _report(host, port, number, len(names), deadline)
        if number
        else _gather(port, len(names), deadline)
    )
    if missing:
        who = ", ".join(f"{names[i]} ({addresses[names[i]]})" for i in missing)
        raise TimeoutError(
            f"Of {len(names)} workers {len(missing)} did not come within {timeout:g} s: {who}. "
            "See their logs, and whether each has the same cluster in TF_CONFIG, calls "
            f"wait_for_workers, and reaches {names[0]} at {addresses[names[0]]}. Then start all "
            "workers again."
        )


def _addresses(cluster: Any) -> dict[str, str]:
    """Map the names of those that train together to their addresses; TensorFlow's leader first."""
    return {
        f"{job} {index}": cluster.task_address(job, index)
        for job in ("chief", "worker")
        if job in cluster.jobs
        for index in cluster.task_indices(job)
    }


def _host_and_port(name: str, address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise ValueError(f"The address of {name} must be of the form host:port; got {address!r}.")
    return host.strip("[]"), int(port)


def _gather(port: int, n_workers: int, deadline: float) -> list[int]:
    """Be the first worker: let all go once they are there; return who is not by the deadline."""
    expected = set(range(1, n_workers))
    present: dict[int, socket.socket] = {}
    with _listen(port, n_workers) as listener:
        listener.settimeout(PAUSE)
        try:
            while True:
                _admit(listener, present, n_workers)
                _ask(present, expected - present.keys())
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
    """Listen at the port in IPv4 and IPv6, as TensorFlow's server will."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, backlog=n_workers, dualstack_ipv6=True
        )
    return socket.create_server(("", port), backlog=n_workers)


def _admit(listener: socket.socket, present: dict[int, socket.socket], n_workers: int) -> None:
    """Take in a worker, if one comes; who is there keeps its place, and strangers get none."""
    try:
        peer, _ = listener.accept()
    except (TimeoutError, ConnectionError):
        return
    peer.settimeout(PATIENCE)
    with contextlib.suppress(OSError), peer.makefile("rb") as lines:
        said = lines.readline(64)
        for number in range(1, n_workers):
            if said == _greeting(number, n_workers) and number not in present:
                present[number] = peer
                return
    peer.close()


def _ask(present: dict[int, socket.socket], missing: set[int]) -> None:
    """Tell those present who is missing, and drop who does not answer."""
    for peer in present.values():
        with contextlib.suppress(OSError):
            peer.sendall(MISSING + " ".join(map(str, sorted(missing))).encode() + b"\n")
    end = time.monotonic() + PATIENCE
    for number, peer in list(present.items()):
        answer = b""
        with contextlib.suppress(OSError):
            peer.settimeout(max(end - time.monotonic(), PAUSE))
            answer = peer.recv(1)
        if not answer:
            present.pop(number).close()


def _report(host: str, port: int, number: int, n_workers: int, deadline: float) -> list[int]:
    """Be another worker: keep in touch with the first; return who is missing at the deadline."""
    missing = {0}
    while (left := deadline - time.monotonic()) > 0:
        try:
            with (
                socket.create_connection((host, port), timeout=min(left, PATIENCE)) as peer,
                peer.makefile("rb") as lines,
            ):
                peer.sendall(_greeting(number, n_workers))
                while (line := lines.readline(16 * n_workers)) != GO:
                    if not line.startswith(MISSING):
                        raise ConnectionError("what answers there is not a worker that waits")
                    missing = set(map(int, line.removeprefix(MISSING).split()))
                    if time.monotonic() > deadline:
                        return sorted(missing)
                    # who has answered may be told to go: it waits, as the first does for others
                    peer.settimeout(3 * PATIENCE)
                    peer.sendall(b".")
                return []
        except OSError:
            missing.add(0)
            time.sleep(PAUSE)
    return sorted(missing)


def _greeting(number: int, n_workers: int) -> bytes:
    return f"skae {number} of {n_workers}\n".encode()
