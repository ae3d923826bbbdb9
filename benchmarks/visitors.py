"""People in front of the dashboard: a hospital, a served workspace, and Chromium, in which each has a page."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

import qrkit
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.workspace import Workspace
from tests.dashboard.served import PASSWORD, Served
from tests.peers.waiting import LOOPBACK, free_port, wait_until
from tests.workspace.opened import end_workers

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_LIMIT = 180_000
"""Milliseconds that anything on a page may take."""

_NO_KERNEL = "/voila/static/voila.js"
"""Where a login leads that is not measured."""

QUERY = "/voila/render/query.ipynb"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A hospital, the workspace that asks it, and the dashboard over that."""

    pacs: Simulator
    workspace: Workspace
    served: Served

    def kernels(self) -> list[psutil.Process]:
        """Return the processes in which pages run."""
        running = psutil.Process(self.served.pid).children(recursive=True)
        return [one for one in running if any("ipykernel" in word for word in one.cmdline())]

    def browsers(self) -> list[psutil.Process]:
        """Return Chromium's processes."""
        ours = psutil.Process().children(recursive=True)
        return [one for one in ours if "chrom" in one.name()]

    def wait_for_quiet(self) -> None:
        """Wait until no kernel computes any more: those that wait for visitors are ready then."""
        time.sleep(1)
        wait_until(lambda: all(_busy(one) < 10 for one in self.kernels()), 120, what="the kernels are ready")


@contextmanager
def house(
    folder: Path, *options: str, studies: int = 300, people: int = 1, delay: float = 0.0, **settings: str
) -> Iterator[House]:
    """Open one, in which `person1`, `person2` … are operators.

    Parameters
    ----------
    options
        Of ``qrkit dashboard``.
    delay
        Seconds before the hospital sends each object.
    settings
        Of the workspace.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each kernel would compile qrkit anew, as no installed one does
    hospital = small_hospital(seed=1, until=date.today(), days=28, studies=studies)
    with (
        Simulator(hospital, quirks=Quirks(delay_object=delay)) as pacs,
        qrkit.open(
            folder / "workspace", host=LOOPBACK, port=free_port(), worker_idle_exit=1, **settings
        ) as workspace,
    ):
        workspace.nodes.add("pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title)
        pacs.add_destination(workspace.settings.ae_title, LOOPBACK, workspace.settings.port)
        for number in range(1, people + 1):
            workspace.users.add(f"person{number}", PASSWORD, role="operator")
        try:
            with Served(folder / "dashboard", workspace, *options) as served:
                yield House(pacs=pacs, workspace=workspace, served=served)
        finally:
            end_workers(folder / "workspace")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run Chromium."""
    from playwright.async_api import async_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("There is no browser; on Debian and Ubuntu: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield browser
        await browser.close()


async def log_in(browser: Browser, opened: House, name: str = "person1") -> Page:
    """Return a browser with a logged-in user and without a kernel."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(_LIMIT)
    await page.goto(f"{opened.served.url}/login?next={_NO_KERNEL}")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(opened.served.url + _NO_KERNEL)
    return page


async def open_query(page: Page, opened: House) -> float:
    """Open the page Query and retrieve; return the seconds until its button can be pressed."""
    started = time.perf_counter()
    await page.goto(opened.served.url + QUERY, wait_until="commit")
    await button(page, "Query").wait_for()
    return time.perf_counter() - started


async def ask(page: Page) -> float:
    """Ask for the last 30 days; return the seconds until the table is there."""
    await page.get_by_label("Study date", exact=True).select_option("Last 30 days")
    started = time.perf_counter()
    await button(page, "Query").click()
    await page.locator("table.dataTable tbody tr").first.wait_for()
    return time.perf_counter() - started


def button(page: Page, name: str) -> Locator:
    """Return a button by how its name begins; icons may come before."""
    return page.get_by_role("button", name=re.compile(f"^{name}")).first


def pss(process: psutil.Process) -> int:
    """Return the bytes of memory that a process costs, what it shares divided among those that share it."""
    return int(process.memory_full_info().pss)


def cpu_seconds(*processes: psutil.Process) -> float:
    """Return the seconds of processor time that processes have used: a busy machine does not change them much."""
    found = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found += times.user + times.system
    return found


def _busy(process: psutil.Process) -> float:
    try:
        return float(process.cpu_percent(0.3))
    except psutil.NoSuchProcess:
        return 0.0
