"""The progress of a retrieve as people see it: in a real browser, through Voilà, against the simulator."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

import qrkit
from qrkit.jobs import ItemOutcome, JobState, NewJob
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import JobQueue
from qrkit.workspace import Job, Workspace
from tests.peers.programs import in_ci
from tests.peers.waiting import LOOPBACK
from tests.widgets.played import STUDIES
from tests.widgets.voila import Voila

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route, WebSocket

_LOCAL = re.compile(rf"(https?|wss?)://({re.escape(LOOPBACK)}|localhost)[:/]|data:|blob:")
_HTML = "<img src=x onerror=\"document.title='run'\">"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Watched:
    """A page that may ask this machine alone; what it asks, what goes wrong, and what the kernel sends are noted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.updates = 0
        page.route("**/*", self._guard)
        page.on("pageerror", lambda error: self.errors.append(error.message))
        page.on("websocket", self._listen)

    def _guard(self, route: Route) -> None:
        if _LOCAL.match(route.request.url):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._count)

    def _count(self, payload: str | bytes) -> None:
        text = payload if isinstance(payload, str) else payload.decode(errors="replace")
        self.updates += '"comm_msg"' in text


def _without_browser(reason: str) -> None:
    if in_ci():
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; without it or Playwright tests are skipped, in CI they fail."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        _without_browser("there is no browser; on Debian and Ubuntu: apt-get install chromium")
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        _without_browser("Playwright is not installed; pip install '.[test]'")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Watched]:
    """A page in a browser that knows nothing yet."""
    with chromium.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        yield Watched(page)


@pytest.fixture
def pacs() -> Iterator[Simulator]:
    """A hospital that sends an object every tenth of a second."""
    hospital = small_hospital(seed=1, until=date.today(), days=30, studies=100)
    with Simulator(hospital, quirks=Quirks(delay_object=0.1)) as simulator:
        yield simulator


@pytest.fixture
def ws(tmp_path: Path, pacs: Simulator) -> Iterator[Workspace]:
    """A workspace with that node, whose worker leaves at once."""
    with qrkit.open(tmp_path / "workspace", host=LOOPBACK, port=0, worker_idle_exit=0) as opened:
        opened.nodes.add("pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title)
        yield opened
        for job_id in opened.jobs.list()["job_id"]:
            opened.jobs[job_id].cancel()


def _paused(ws: Workspace) -> Job:
    """A retrieve of two studies of 10 to 60 objects, which waits until the page is there."""
    studies = ws.find("pacs", modalities=["CT"])
    some = studies[studies["NumberOfStudyRelatedInstances"].between(10, 60)].head(2)
    job = ws.retrieve(some)
    job.pause()
    return job


def _failed(ws: Workspace) -> Job:
    """A job whose node said something nasty."""
    table, queue, under_way = ws.jobs._table, JobQueue(ws._state), RunningItems(ws._state)
    job_id = table.create(NewJob(node="pacs", requests=STUDIES))
    for _ in STUDIES:
        (item,) = queue.claim_share("test", {"pacs": 1}, most=1)
        under_way.finish_item(item.item_id, ItemOutcome(state=JobState.FAILED, expected=3, error=_HTML))
    return ws.jobs[job_id]


def _notebook(folder: Path, workspace: Path, *jobs: Job) -> None:
    folder.mkdir()
    cells = [f"import qrkit\nws = qrkit.open({str(workspace)!r})", *(f"ws.jobs[{job.job_id!r}]" for job in jobs)]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, folder / "jobs.ipynb")


def test_a_retrieve_is_followed_in_the_browser(ws: Workspace, tmp_path: Path, watched: Watched) -> None:
    from playwright.sync_api import expect

    running, cancelled, failed = _paused(ws), _paused(ws), _failed(ws)
    _notebook(tmp_path / "pages", ws.settings.workspace, running, cancelled, failed)
    page = watched.page
    with Voila(tmp_path / "pages") as voila:
        page.goto(f"{voila.url}/voila/render/jobs.ipynb", wait_until="commit")
        sections = page.get_by_role("region", name="Retrieve from pacs")
        expect(sections).to_have_count(3)
        first, second, third = (sections.nth(place) for place in range(3))

        # The one that waits begins, and its bar moves.
        bar, status = first.get_by_role("progressbar", name="Retrieve from pacs"), first.get_by_role("status")
        expect(status).to_have_text("Paused")
        running.resume()
        expect(status).to_have_text("Running")
        expect(first).to_contain_text(re.compile(r"\d+ of \d+ objects|\d+ objects? received, \d of 2 items done"))
        expect(first).to_contain_text(re.compile("[kM]B/s"))
        expect(first).to_contain_text("left")
        page.screenshot(path=tmp_path / "running-1280.png", full_page=True)
        early = float(bar.evaluate("bar => bar.position"))
        page.wait_for_function("([bar, early]) => bar.position > early", arg=[bar.element_handle(), early])
        assert 0.0 <= early < 1.0

        # Another is cancelled by its button.
        cancel = second.get_by_role("button", name="Cancel retrieve from pacs")
        cancel.focus()
        page.keyboard.press("Enter")
        expect(second.get_by_role("status")).to_have_text("Cancelled")
        expect(cancel).to_have_count(0)
        expect(second.get_by_role("button", name="Retry failed: retrieve from pacs")).to_be_focused()
        assert cancelled.state is JobState.CANCELLED

        # What a peer says is text.
        expect(third.get_by_role("listitem").first).to_contain_text(_HTML)
        assert page.title() != "run"

        # The end is shown, fits narrow screens, and then all is quiet.
        expect(status).to_have_text("Complete")
        assert running.state is JobState.COMPLETE
        assert float(bar.evaluate("bar => bar.position")) == 1.0
        stored = running.status.stored
        expect(first).to_contain_text(f"{stored} of {stored} objects")
        expect(first.get_by_role("button")).to_have_count(0)
        for width in (1280, 800, 400):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=tmp_path / f"ended-{width}.png", full_page=True)
            overflow = first.evaluate("section => section.scrollWidth - section.clientWidth")
            assert overflow <= 0
        before = watched.updates
        page.wait_for_timeout(1_000)
        assert watched.updates == before
        page.goto("about:blank")
    assert before > 5
    assert watched.outside == []
    assert watched.errors == []
