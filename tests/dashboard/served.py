"""A dashboard as people start it, and a visitor without a browser."""

import contextlib
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from email.message import Message
from http.client import HTTPConnection
from http.cookiejar import CookieJar
from pathlib import Path

import psutil

from qrkit.workspace import Workspace
from tests.peers.processes import ServerProcess
from tests.peers.waiting import LOOPBACK, free_port
from tests.workspace.opened import environment

PASSWORD = "correct horse"


class Served(ServerProcess):
    """``qrkit dashboard`` over a workspace."""

    name = "dashboard"
    start_limit = 90.0

    def __init__(self, folder: Path, workspace: Workspace, *options: str) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._workspace = workspace
        self._options = options
        self.authority: Path | None = None

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"{'https' if self.authority else 'http'}://{LOOPBACK}:{self.port}"

    def caller(self, headers: Mapping[str, str] | None = None) -> "Caller":
        """Give a new visitor."""
        return Caller(self.url, headers, authority=self.authority)

    def prepare(self) -> None:
        """Need nothing."""

    def command(self) -> Sequence[str | Path]:
        """Give the program and its arguments."""
        start = [sys.executable, "-m", "qrkit.cli", "dashboard", "--no-browser", "--port", str(self.port)]
        return [*start, *self._options]

    def environment(self) -> Mapping[str, str]:
        """Give its environment, of the same workspace."""
        return environment(self._workspace)

    def is_ready(self) -> bool:
        """Whether it serves."""
        try:
            return self.caller().get("/login").status == 200
        except OSError:
            return False

    def kernels(self, name: str = "ipykernel_launcher") -> list[psutil.Process]:
        """Return the processes in which pages run, or the one of the page that has this kernel."""
        found = []
        for child in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if any(name in word for word in child.cmdline()):
                    found.append(child)
        return found

    @property
    def link(self) -> str:
        """The link that it has printed for whoever started it."""
        (found,) = re.findall(r"/enter/\S+", self.log.read_text())
        return str(found)


class Answer:
    """What came of a request."""

    def __init__(self, status: int, headers: Message, text: str, url: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text
        self.url = url
        self.path = urllib.parse.urlsplit(url).path

    @property
    def kernel(self) -> str:
        """The id of the kernel behind a dashboard."""
        return str(re.findall(r'"kernelId": "([\w-]+)"', self.text)[0])


class Caller:
    """Somebody with cookies and without a browser."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, *, authority: Path | None = None) -> None:
        self._url = url
        self._headers = dict(headers or {})
        self.cookies = CookieJar()
        trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority))
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies), trusting)

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return self._send(path)

    def post(self, path: str, **form: str) -> Answer:
        """Send a form, with the token that the server's pages have."""
        return self._send(path, urllib.parse.urlencode(form | {"_xsrf": self._token}).encode())

    def delete(self, path: str) -> Answer:
        """Ask for something to be deleted, with that token."""
        return self._send(f"{path}?_xsrf={self._token}", method="DELETE")

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        """Log in as people do."""
        self.get("/login")
        # To something that needs no kernel, unless told otherwise.
        return self.post("/login", name=name, password=password, next="/voila/static/voila.js")

    def open_channels(self, kernel: str) -> int:
        """Ask for the websocket of a kernel; return 101 if it opens, else the status of the refusal."""
        asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        asked |= {"Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
        asked |= {"Cookie": "; ".join(f"{one.name}={one.value}" for one in self.cookies)}
        with contextlib.closing(HTTPConnection(urllib.parse.urlsplit(self._url).netloc, timeout=90)) as connection:
            connection.request("GET", f"/api/kernels/{kernel}/channels", headers=asked)
            with connection.getresponse() as answer:
                return answer.status

    def flags_of(self, cookie: str) -> tuple[bool, bool, str]:
        """Return of a cookie: whether it goes by TLS only, whether scripts cannot read it, and SameSite."""
        (found,) = [one for one in self.cookies if one.name == cookie]
        return found.secure, found.has_nonstandard_attr("HttpOnly"), str(found.get_nonstandard_attr("SameSite"))

    @property
    def _token(self) -> str:
        return next((str(one.value) for one in self.cookies if one.name == "_xsrf"), "")

    def _send(self, path: str, body: bytes | None = None, method: str | None = None) -> Answer:
        request = urllib.request.Request(self._url + path, body, self._headers, method=method)  # noqa: S310 - our own
        try:
            with self._opener.open(request, timeout=90) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode(), answer.url)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode(), str(error.url))
