"""Free ports, and waiting on a condition with a limit: the owner of both for all tests."""

import secrets
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
# Below the ports that Linux (32768-60999), macOS and Windows (49152-65535) give to outgoing connections, so
# that no connection of another test takes a port between its choice and its use.
_LOWEST_PORT, _HIGHEST_PORT = 15000, 32000
_given: set[int] = set()


def free_port() -> int:
    """Give a TCP port on which nothing listens and which this process has not given before.

    Not drawn from `random`: pytest-randomly seeds it alike in every worker of pytest-xdist.
    """
    for _ in range(1000):
        port = _LOWEST_PORT + secrets.randbelow(_HIGHEST_PORT - _LOWEST_PORT)
        if port not in _given and _can_be_bound(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port in 1000 tries between {_LOWEST_PORT} and {_HIGHEST_PORT}")


def _can_be_bound(port: int) -> bool:
    """Whether a server could listen here, on all interfaces as most peers do."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def accepts_connections(port: int) -> bool:
    """Whether something accepts TCP connections on this port of the loopback interface."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], T], limit: float = 10.0, *, what: str = "") -> T:
    """Give the first true value of the condition.

    Parameters
    ----------
    condition
        Called again and again until what it gives is true.
    limit
        Seconds after which waiting is given up.
    what
        What is waited for, for the error.

    Raises
    ------
    TimeoutError
        The condition did not become true within the limit.
    """
    deadline = time.monotonic() + limit
    pause = 0.002
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {limit:g} s: {what or repr(condition)}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return value
