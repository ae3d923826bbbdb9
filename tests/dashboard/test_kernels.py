"""A kernel that was ready before its visitor: it is told whose it is, however late that is."""

import asyncio
import os
import socket
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import tornado.httpserver
import tornado.web

from qrkit.dashboard.kernels import KernelRequestHandler, KernelRequests
from qrkit.errors import NotAllowed
from qrkit.widgets.page import become_the_visitors
from tests.peers.waiting import LOOPBACK, free_port

_KERNEL = "5f0c-1"
_ANN = {"HTTP_X_QRKIT_USER": "ann", "HTTP_X_QRKIT_ROLE": "operator", "SCRIPT_NAME": "/voila/render/jobs.ipynb"}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make this process a kernel that waits; the address at which it asks."""
    address = f"http://{LOOPBACK}:{free_port()}/visit"
    told = dict.fromkeys((*_ANN, "QRKIT_USER", "QRKIT_ROLE"), "")
    for name, value in {**told, "VOILA_PREHEAT": "True", "VOILA_KERNEL_ID": _KERNEL}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QRKIT_REQUESTS", address)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    return address


def _port(address: str) -> int:
    return int(address.rpartition(":")[2].partition("/")[0])


class _Counting(KernelRequestHandler):
    """Counts who asks."""

    asked = 0

    def prepare(self) -> None:
        """Count."""
        _Counting.asked += 1


async def _serve_late(address: str, kernel: "Future[None]") -> int:
    """Serve after the first question was refused and the second lost, tell after the fourth; return how many came."""
    with socket.create_server((LOOPBACK, _port(address))) as deaf:
        deaf.setblocking(False)
        lost, _ = await asyncio.get_running_loop().sock_accept(deaf)
        lost.close()
    requests = KernelRequests()
    application = tornado.web.Application([(r"/visit/(.+)", _Counting, {"requests": requests, "hold": 0.1})])
    server = tornado.httpserver.HTTPServer(application)
    server.listen(_port(address), LOOPBACK)
    _Counting.asked = 0
    while _Counting.asked < 3:
        await asyncio.sleep(0.02)
        requests.assign("another", _ANN | {"HTTP_X_QRKIT_USER": "eve"})
    requests.assign(_KERNEL, _ANN)
    await asyncio.wait_for(asyncio.wrap_future(kernel), 30)
    requests.keep(())
    assert await requests.of(_KERNEL, 0.01) is None
    server.stop()
    await server.close_all_connections()
    return _Counting.asked


@pytest.mark.slow
def test_a_kernel_asks_until_the_server_says_whose_it_is(requests: str) -> None:
    with ThreadPoolExecutor(1) as kernel:
        waiting = kernel.submit(become_the_visitors)
        assert asyncio.run(_serve_late(requests, waiting)) >= 3
    assert (os.environ["QRKIT_USER"], os.environ["QRKIT_ROLE"]) == ("ann", "operator")
    assert os.environ["SCRIPT_NAME"] == _ANN["SCRIPT_NAME"]


@pytest.mark.usefixtures("requests")
def test_a_kernel_that_is_told_nobody_says_so_instead_of_being_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOILA_PREHEAT", "False")
    monkeypatch.setenv("HTTP_X_QRKIT_USER", "ann")
    with pytest.raises(NotAllowed, match=r"did not name the user of this page\. Reload the page"):
        become_the_visitors()
    assert os.environ["QRKIT_USER"] == ""
