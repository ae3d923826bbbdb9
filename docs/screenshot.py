"""Takes the picture of the README: ``python docs/screenshot.py`` runs the first tutorial in JupyterLab.

It needs the extra ``test`` and Chromium. JupyterLab runs on a free port of the loopback interface, in a temporary
folder with settings of its own; whatever would leave this machine is aborted, and makes the run fail.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route, ViewportSize, WebSocket

_HERE = Path(__file__).resolve().parent
_TUTORIAL = _HERE.parent / "notebooks" / "01_first_query.ipynb"
_PICTURE = _HERE / "notebook.png"
_LOOPBACK = "127.0.0.1"
_LIMIT = 120.0
"""Seconds that JupyterLab may take to start, and the notebook to run."""

_VIEWPORT: ViewportSize = {"width": 1120, "height": 1400}
_LEFT_OUT = ("## Is the result complete?", "## The same in SQL")
"""Sections that the picture has no room for."""
_TABLE = ("One call shows the whole table", "from qrkit.widgets import table")
"""What begins the cells with the whole table, for which there is no room either."""

_HOSPITAL = 'days=60), ae_title="SIMPACS")'
_SLOW_HOSPITAL = 'days=60, matrix=512), ae_title="SIMPACS", quirks=qrkit.simulator.Quirks(delay_object=0.2))'
"""Images as large as real ones, and at a pace at which a picture can be taken half way."""

_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # All but loopback goes by a proxy that is not there: web sockets too, and what the browser asks past any page.
    f"--proxy-server=http://{_LOOPBACK}:1",
)
_SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false", "doNotDisturbMode": True},
    # Cells out of sight are drawn too, so that scrolling moves nothing.
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A JupyterLab that runs: where, and the token that lets in."""

    port: int
    token: str

    def page_of(self, notebook: str) -> str:
        """Return the address of one notebook, with nothing beside it."""
        return f"http://{_LOOPBACK}:{self.port}/doc/tree/{notebook}?token={self.token}"


@dataclass  # without slots: Playwright leaves a mark on whose methods it calls
class Guard:
    """Lets a browser talk to one port of this machine alone, and notes what else it wanted."""

    port: int
    outside: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Stand between a browser's pages and the network."""
        context.route("**/*", self._request)
        context.on("page", lambda page: page.on("websocket", self._web_socket))

    def _is_ours(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme in {"data", "blob"} or (parts.hostname, parts.port) == (_LOOPBACK, self.port)

    def _request(self, route: Route) -> None:
        if self._is_ours(route.request.url):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _web_socket(self, web_socket: WebSocket) -> None:
        # It has nowhere to go already, by the missing proxy; here it is noted.
        if not self._is_ours(web_socket.url):
            self.outside.append(web_socket.url)


def main() -> int:
    """Take the picture; return 0, or 1 if anything asked for more than this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", type=Path, default=_PICTURE, help="where it is written")
    picture: Path = parser.parse_args().picture
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no browser; on Debian and Ubuntu: apt-get install chromium")
    with TemporaryDirectory(prefix="qrkit-screenshot-", ignore_cleanup_errors=True) as folder:
        _copy_tutorial(Path(folder) / "notebooks" / _TUTORIAL.name)
        with _lab(Path(folder)) as lab:
            outside = _photograph(lab, chromium, picture)
    for url in outside:
        sys.stderr.write(f"aborted, since it leaves this machine: {url}\n")
    sys.stdout.write(f"{picture}, {picture.stat().st_size / 1e3:.0f} kB\n")
    return 1 if outside else 0


def _copy_tutorial(target: Path) -> None:
    """Write the tutorial without the cells that do not fit into the picture, and with a slow PACS.

    Raises
    ------
    ValueError
        If the tutorial has changed, so that something of this is not found in it.
    """
    tutorial = nbformat.read(_TUTORIAL, as_version=4)
    sources = "\n".join(cell.source for cell in tutorial.cells)
    gone = [text for text in (_HOSPITAL, *_LEFT_OUT, *_TABLE) if text not in sources]
    if gone:
        raise ValueError(f"{_TUTORIAL.name} has no {gone} any more; bring {Path(__file__).name} up to date.")
    tutorial.cells = list(_shown(tutorial.cells))
    for cell in tutorial.cells:
        cell.source = cell.source.replace(_HOSPITAL, _SLOW_HOSPITAL)
    target.parent.mkdir(parents=True)
    nbformat.write(tutorial, target)


def _shown(cells: Iterable[nbformat.NotebookNode]) -> Iterator[nbformat.NotebookNode]:
    """Give the cells that the picture has room for."""
    left_out = False
    for cell in cells:
        if cell.source.startswith("#") and cell.cell_type == "markdown":
            left_out = cell.source.startswith(_LEFT_OUT)
        if not left_out and not cell.source.startswith(_TABLE):
            yield cell


@contextmanager
def _lab(folder: Path) -> Iterator[Lab]:
    """Run JupyterLab in a folder, and end it with its kernels."""
    lab = Lab(port=_free_port(), token=secrets.token_hex(16))
    for name, settings in _SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.ip={_LOOPBACK}"]
    command += [
        f"--ServerApp.port={lab.port}",
        "--ServerApp.port_retries=0",
        f"--notebook-dir={folder / 'notebooks'}",
    ]
    with (
        (folder / "jupyter.log").open("wb") as log,
        subprocess.Popen(command, env=_environment(folder, lab), stdout=log, stderr=log) as server,  # noqa: S603 - our own command
    ):
        try:
            _wait_for(server, lab, folder / "jupyter.log")
            yield lab
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def _free_port() -> int:
    """Give a port of the loopback interface on which nothing listens."""
    with socket.create_server((_LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def _environment(folder: Path, lab: Lab) -> dict[str, str]:
    """Give JupyterLab's environment: nothing of this user's settings, and nothing left behind."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "QRKIT_"))}
    scratch = folder / "scratch"
    scratch.mkdir()
    return ours | {
        "JUPYTER_TOKEN": lab.token,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "IPYTHONDIR": str(folder / "ipython"),
        "TMPDIR": str(scratch),
    }


def _wait_for(server: subprocess.Popen[bytes], lab: Lab, log: Path) -> None:
    """Return when JupyterLab accepts connections.

    Raises
    ------
    RuntimeError
        If it has ended, or takes longer than the limit.
    """
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection((_LOOPBACK, lab.port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"JupyterLab does not answer on port {lab.port}. Its log ends: {log.read_text()[-2000:]}")


def _photograph(lab: Lab, chromium: str, picture: Path) -> list[str]:
    """Run the tutorial, take the picture while its job runs, and return what was asked of other machines."""
    guard = Guard(lab.port)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM)
        context = browser.new_context(viewport=_VIEWPORT, service_workers="block")
        context.set_default_timeout(_LIMIT * 1e3)
        guard.watch(context)
        page = context.new_page()
        page.goto(lab.page_of(_TUTORIAL.name))
        _run_all(page)
        _scroll_to_chart(page)
        _wait_for_job(page)
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture, animations="disabled", caret="hide")
        _wait_for_end(page)
        browser.close()
    return guard.outside


def _run_all(page: Page) -> None:
    """Choose Run All Cells from the menu, once the kernel listens."""
    # The indicator in the toolbar says idle before there is a kernel; what is run then never runs.
    page.get_by_text(re.compile(r"^Python 3 .*\| Idle$")).first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def _scroll_to_chart(page: Page) -> None:
    """Wait for the chart and the job, then bring the question, the chart and the job into sight."""
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.get_by_role("region", name="Retrieve from pacs").wait_for()
    question = page.locator(".jp-CodeCell", has_text="description_exclude").first
    question.evaluate("cell => cell.scrollIntoView({block: 'start'})")
    page.mouse.move(2, 2)


def _wait_for_job(page: Page) -> None:
    """Wait until the bar of the job has moved past its middle, and see that the job still runs."""
    bar = page.get_by_role("progressbar", name="Retrieve from pacs")
    page.wait_for_function("bar => bar.position > 0.55", arg=bar.element_handle())
    status = page.get_by_role("region", name="Retrieve from pacs").get_by_role("status")
    expect(status, "the job was too quick for the picture").to_have_text("Running", timeout=1e3)


def _wait_for_end(page: Page) -> None:
    """Wait until the last cell has run: the tutorial stops its own hospital and worker.

    Raises
    ------
    RuntimeError
        If a cell has failed.
    """
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    expect(prompts.last).to_have_text(re.compile(r"\[\d+\]:"), timeout=_LIMIT * 1e3)
    failures = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    if failures.count():
        raise RuntimeError(f"The tutorial has failed: {failures.first.inner_text()}")


if __name__ == "__main__":
    sys.exit(main())
