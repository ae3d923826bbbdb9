"""The first lesson in a real JupyterLab, by keyboard alone: ``python -m benchmarks.lab``; 1 if a key goes elsewhere.

JupyterLab takes keys for itself: Down goes to the next cell, `d d` deletes one. Here Shift+Enter runs the cells; then
the table is searched, sorted and chosen from, and a retrieve is cancelled, while every key that JupyterLab would take
is pressed in them. It needs Chromium and the extra ``test``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

from benchmarks.visitors import CHROMIUM
from tests.peers.processes import ServerProcess
from tests.peers.waiting import LOOPBACK, accepts_connections, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "01_first_query.ipynb"
_PAUSED = "paused = ws.retrieve(studies.head(2))\npaused.pause()\npaused"
"""A cell that is added below the lesson's own retrieve: a job that waits to be cancelled."""

_SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false", "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
_LIMIT = 180_000
"""Milliseconds that anything may take."""

_STOLEN = ("ArrowDown", "d", "d", "x", "a", "b", "m", "y")
"""Keys that do something to the cells of a notebook: go, delete, cut, add, change their kind."""

_FOCUS = "(wanted) => wanted.contains(document.activeElement)"


class JupyterLab(ServerProcess):
    """JupyterLab with the lesson, and with settings of its own."""

    name = "jupyterlab"
    start_limit = 120.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port, self.token = free_port(), secrets.token_hex(16)

    @property
    def url(self) -> str:
        """The address of the lesson, without the file browser."""
        return f"http://{LOOPBACK}:{self.port}/doc/tree/{_LESSON.name}?token={self.token}"

    def prepare(self) -> None:
        """Write the lesson and the settings."""
        lesson = nbformat.read(_LESSON, as_version=4)
        (after,) = [place for place, cell in enumerate(lesson.cells) if "job.wait(" in cell.source]
        lesson.cells.insert(after + 1, nbformat.v4.new_code_cell(_PAUSED))
        (self.folder / "notebooks").mkdir()
        nbformat.write(lesson, self.folder / "notebooks" / _LESSON.name)
        for name, settings in _SETTINGS.items():
            path = self.folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings))

    def command(self) -> Sequence[str | Path]:
        """Give the program and its arguments."""
        where = [f"--ServerApp.ip={LOOPBACK}", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"]
        start = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *where]
        return [*start, f"--notebook-dir={self.folder / 'notebooks'}"]

    def environment(self) -> Mapping[str, str]:
        """Give its environment: nothing of this user's settings."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "QRKIT_"))}
        for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
            ours[f"JUPYTER_{name}"] = str(self.folder / name.lower())
        places = {"JUPYTERLAB_SETTINGS_DIR": "settings", "IPYTHONDIR": "ipython"}
        return ours | {"JUPYTER_TOKEN": self.token} | {key: str(self.folder / at) for key, at in places.items()}

    def is_ready(self) -> bool:
        """Whether it serves."""
        return accepts_connections(self.port)


def measure(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what was done and how it went; the notebook has as many cells in the end as before."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("There is no browser; on Debian and Ubuntu: apt-get install chromium")
    started = time.perf_counter()
    with JupyterLab(folder) as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(_LIMIT)
        page.goto(lab.url)
        # The indicator says idle before there is a kernel; what is run then never runs.
        page.get_by_text(re.compile(r"^Python 3 .*\| Idle$")).first.wait_for()
        yield "JupyterLab and its kernel are there after", f"{time.perf_counter() - started:.1f} s"
        cells = page.locator(".jp-Cell")
        before = cells.count()
        started = time.perf_counter()
        yield "cells run by Shift+Enter", f"{_run(page)} in {time.perf_counter() - started:.1f} s"
        yield from _use_table(page)
        yield "retrieve cancelled by Enter, shown", _cancel(page)
        _same("cells in the end", cells.count(), before)
        yield "cells before and after all keys", f"{before}, {cells.count()}"
        browser.close()


def _run(page: Page) -> int:
    """Run the lesson up to where it closes; return how many cells that are."""
    cells = page.locator(".jp-Cell")
    sources = cells.all_inner_texts()
    (last,) = [place for place, text in enumerate(sources) if "ws.close()" in text and "pacs.stop()" in text]
    cells.first.click()
    page.keyboard.press("Escape")
    for _ in range(last - 1):  # the one before is prose
        page.keyboard.press("Shift+Enter")
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt")
    run = page.locator(".jp-CodeCell").count() - 1
    page.wait_for_function(
        "([prompts, run]) => prompts.slice(0, run).every((one) => /\\[\\d+\\]/.test(one.textContent))",
        arg=[prompts.element_handles(), run],
    )
    failures = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    _same("cells that failed", failures.count(), 0)
    return run


def _use_table(page: Page) -> Iterator[tuple[str, str]]:
    cell = page.locator(".jp-CodeCell", has_text="from qrkit.widgets import table")
    told = cell.locator(".dt-info")
    everything = told.inner_text()
    _tab_to(page, cell.get_by_role("searchbox"), start=cell)
    page.keyboard.type("abdomen")
    page.wait_for_function("([shown, all]) => shown.textContent !== all", arg=[told.element_handle(), everything])
    yield "table searched for abdomen", told.inner_text()
    for _ in "abdomen":
        page.keyboard.press("Backspace")
    page.wait_for_function("([shown, all]) => shown.textContent === all", arg=[told.element_handle(), everything])
    _tab_to(page, cell.get_by_role("columnheader").first)
    page.keyboard.press("Enter")
    cell.locator("th[aria-sort=ascending]").first.wait_for()
    yield "table sorted by Enter on a head", cell.locator("tbody tr").first.locator("td").first.inner_text()
    _tab_to(page, cell.locator("tbody"))
    for key in _STOLEN:
        page.keyboard.press(key)
    _same("focus in the table", cell.locator("tbody").evaluate(_FOCUS), wanted=True)
    page.keyboard.press("Space")
    cell.locator("tbody tr.selected").first.wait_for()
    yield "rows selected by Space", str(cell.locator("tbody tr.selected").count())


def _cancel(page: Page) -> str:
    cell = page.locator(".jp-CodeCell", has_text="paused.pause()")
    _tab_to(page, cell.get_by_role("button", name="Cancel retrieve"), start=cell)
    for key in _STOLEN:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    cell.get_by_role("status").filter(has_text="Cancelled").wait_for()
    return cell.get_by_role("status").inner_text()


def _tab_to(page: Page, wanted: Locator, *, start: Locator | None = None) -> None:
    """Press Tab from a cell, or from the focus, until something has the focus."""
    if start is not None:
        start.locator(".jp-InputArea-prompt").click()
        page.keyboard.press("Escape")
    for _ in range(80):
        if wanted.evaluate(_FOCUS):
            return
        page.keyboard.press("Tab")
    raise SystemExit(f"Tab does not come to {wanted}")


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise SystemExit(f"{what}: {found}, not {wanted}")


def main() -> None:
    """Do it, and print the outcome."""
    folder = Path(tempfile.mkdtemp(prefix="qrkit-lab-"))
    try:
        print("| JupyterLab by keyboard | |\n|---|--:|")
        for what, figure in measure(folder / "lab"):
            print(f"| {what} | {figure} |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
