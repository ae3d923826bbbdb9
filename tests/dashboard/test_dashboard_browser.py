"""The whole way in a browser: query, select, retrieve, reload, cancel, compare; nodes; the keyboard; a viewer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks, Simulator
from qrkit.workspace import Workspace
from tests.dashboard.served import PASSWORD, Served
from tests.peers.waiting import wait_until
from tests.widgets.test_browser import Watched, chromium, watched
from tests.workspace.opened import wait_for_worker

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["chromium", "watched"]
_RULES = ["wcag2a", "wcag2aa", "wcag21aa"]
_PAGES = {
    "Start": "Running jobs",
    "Query and retrieve": "Query",
    "Dose objects": "Dose objects",
    "Jobs": "Jobs",
    "History": "History",
    "Nodes": "Add or edit a node",
    "Users": "Add or edit a user",
}
"""Name of each page, and a heading that no other has."""

_KERNEL_ID = "JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"

_EXECUTE = """async ([url, target]) => {
  const socket = new WebSocket(url);
  await new Promise((done, failed) => { socket.onopen = done; socket.onerror = failed; });
  const ask = (kind, content) => {
    const told = new Promise((done) => socket.addEventListener("message", ({ data }) => {
      const type = typeof data === "string" ? JSON.parse(data).msg_type : "";
      if (type === kind.replace("request", "reply")) done(type);
    }));
    socket.send(JSON.stringify({ channel: "shell", content, metadata: {}, parent_header: {}, buffers: [],
      header: { msg_id: kind, msg_type: kind, username: "", session: "test", version: "5.3", date: "" } }));
    return told;
  };
  ask("execute_request", { code: `open(${JSON.stringify(target)}, "w")`, silent: false });
  return await ask("kernel_info_request", {});
}"""
"""Sends code to a page's kernel as JupyterLab would, and waits until the kernel has answered what came after."""


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{name}"))


def _rows(page: Page) -> Locator:
    return page.locator("table.dataTable tbody tr")


def _enter(page: Page, served: Served, name: str, to: str = "") -> None:
    page.goto(served.url + to)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def _leave(page: Page) -> None:
    from playwright.sync_api import expect

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def _go_to(page: Page, name: str) -> None:
    """Go to another page, and wait until it is there: until then, the one before can be used."""
    from playwright.sync_api import expect

    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=_PAGES[name], exact=True)).to_be_visible()


def _ask(page: Page) -> None:
    """Query the last 30 days of CT."""
    from playwright.sync_api import expect

    _go_to(page, "Query and retrieve")
    page.get_by_label("Study date").select_option("Last 30 days")
    page.get_by_label("CT", exact=True).check()
    _button(page, "Query").click()
    expect(page.get_by_text(re.compile("Select rows to retrieve"))).to_be_visible()


def _filter(page: Page, ws: Workspace) -> None:
    """Show only the heads of the answer, which the node is not asked for, and all again."""
    from playwright.sync_api import expect

    asked = ws.queries.list()["query_id"].iloc[0]
    words = ws.queries.read(asked)["StudyDescription"].fillna("").str.casefold()
    heads = int(words.str.contains("head").sum())
    assert 0 < heads < len(words)
    page.get_by_label("Show rows containing").fill("head")
    expect(page.get_by_text(f"{heads} of {len(words)} rows shown")).to_be_visible()
    expect(page.locator(".dt-info").last).to_contain_text(f"of {heads}")
    page.get_by_label("Show rows containing").fill("")
    expect(page.get_by_text(f"{len(words)} of {len(words)} rows shown")).to_be_visible()
    assert ws.queries.list()["query_id"].iloc[0] == asked


def _select_two(page: Page) -> None:
    from playwright.sync_api import expect

    _rows(page).nth(0).click()
    _rows(page).nth(1).click(modifiers=["Control"])
    expect(_button(page, "Retrieve 2 rows")).to_be_enabled()


def _sort(page: Page, column: str) -> None:
    """Sort by a column: the newest, or the last of the alphabet, first."""
    from playwright.sync_api import expect

    head = page.get_by_role("button", name=re.compile(f"^{column}")).first
    head.click()
    expect(page.locator("th[aria-sort=ascending]").first).to_be_visible()
    head.click()
    expect(page.locator("th[aria-sort=descending]").first).to_be_visible()


def _download(page: Page) -> None:
    """Take the table as a file: every row that is found, though only some are chosen."""
    _button(page, "Download").first.click()
    with page.expect_download() as taken:
        _button(page, "CSV").click()
    lines = taken.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith('"Study date","Study time","Patient ID"')
    assert f"Rows 1 to 10 of {len(lines) - 1:,}" in page.locator(".dt-info").first.inner_text()
    page.keyboard.press("Escape")


def _open_and_compare(page: Page, name: str) -> None:
    """Open somebody's oldest answer from the history, ask again, and compare the two."""
    from playwright.sync_api import expect

    _go_to(page, "History")
    _rows(page).filter(has_text=name).last.click()
    _button(page, "Open").click()
    expect(page.get_by_role("status").filter(has_text=re.compile(r"\d+ rows"))).to_be_visible()
    _button(page, "Run again").click()
    expect(page.get_by_text("Done. The new query is first")).to_be_visible()
    _rows(page).first.click(modifiers=["Control"])  # and the one of before is chosen still
    _button(page, "Compare").click()
    expect(page.get_by_text("0 differences")).to_be_visible()


def _position(page: Page, *, above: float = 0.0) -> float:
    """Return where the bar of a retrieve is, once it is beyond what it was."""
    bar = page.get_by_role("progressbar", name="Retrieve from pacs").first.element_handle()
    page.wait_for_function("([bar, above]) => bar.position > above", arg=[bar, above])
    return float(bar.evaluate("bar => bar.position"))


def _retrieve_is_seen_by_every_page(served: Served, ws: Workspace, watched: Watched) -> None:
    """Retrieve two studies: the worker is killed and the page reloaded in the middle; cancel on a second page."""
    from playwright.sync_api import expect

    page = watched.page
    _button(page, "Retrieve 2 rows").click()
    before, left = _position(page), page.evaluate(_KERNEL_ID)
    wait_for_worker(ws).kill()  # the page sees to it that there is another
    page.reload()
    _position(page, above=before)  # what runs is found again, and has not stood still
    assert page.url.endswith("/query.ipynb")
    ws.jobs[ws.jobs.list()["job_id"].iloc[0]].pause()  # or it might end before the second page is there
    second = Watched(page.context.new_page())
    second.page.set_default_timeout(60_000)
    second.page.goto(page.url)
    job = second.page.get_by_role("region", name="Retrieve from pacs")
    job.get_by_role("button", name="Cancel retrieve from pacs").click()
    for seen in (job, page.get_by_role("region", name="Retrieve from pacs")):
        expect(seen.get_by_role("status")).to_have_text("Cancelled")
    closed = second.page.evaluate(_KERNEL_ID)
    second.page.close(run_before_unload=True)
    wait_until(lambda: not served.kernels(left) and not served.kernels(closed), 60, what="closed pages end")
    assert (second.outside, second.errors) == ([], [])


def _fails_and_is_tried_again(page: Page, pacs: Simulator) -> None:
    """Retrieve the plan from a PACS that refuses, and again when it does not any more."""
    from playwright.sync_api import expect

    usual, pacs.quirks = pacs.quirks, Quirks(retrieve_status=0xC001, retrieve_comment="archive is down")
    _button(page, "Retrieve this plan").click()
    job = page.get_by_role("region", name="Retrieve from pacs").first
    expect(job.get_by_role("status")).to_have_text("Failed")
    expect(job).to_contain_text("archive is down")
    pacs.quirks = Quirks()
    _go_to(page, "Jobs")
    _rows(page).first.click()
    expect(_rows(page).first).to_contain_text(re.compile("failed", re.IGNORECASE))
    _button(page, "Retry failed").click()
    expect(_rows(page).first).to_contain_text(re.compile("complete", re.IGNORECASE))
    pacs.quirks = usual


def _has_no_violations(page: Page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = axe.run(page, options={"runOnly": _RULES})
        told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found.response["violations"]]
        assert (scheme, told) == (scheme, [])


def test_an_operator_asks_retrieves_reloads_cancels_tries_again_and_compares(
    served: Served, ws: Workspace, pacs: Simulator, watched: Watched
) -> None:
    from playwright.sync_api import expect

    page = watched.page
    _enter(page, served, "ann")
    expect(page.get_by_text("ann, operator")).to_be_visible()
    expect(page.get_by_text(re.compile(r"responds in \d+ ms")).first).to_be_visible()
    _ask(page)
    _filter(page, ws)
    _sort(page, "Study date")
    newest = str(ws.queries.read(ws.queries.list()["query_id"].iloc[0])["StudyDate"].max())[:10]
    expect(_rows(page).first).to_contain_text(newest)
    _select_two(page)
    _download(page)
    _retrieve_is_seen_by_every_page(served, ws, watched)
    row = ws.jobs.list().iloc[0]  # the newest
    assert (row["user"], ws.jobs[row["job_id"]].state) == ("ann", JobState.CANCELLED)

    # The least that carries dose, its cost, and the retrieve.
    _go_to(page, "Dose objects")
    page.get_by_label("Study date").select_option("Last 30 days")
    page.get_by_label("MG", exact=True).check()
    _button(page, "Plan").click()
    expect(_button(page, "Retrieve this plan")).to_be_enabled()
    expect(page.get_by_text(re.compile(r"\d+ (objects|requests)")).first).to_be_visible()
    before = len(ws.jobs.list())
    _fails_and_is_tried_again(page, pacs)
    assert len(ws.jobs.list()) == before + 1

    _open_and_compare(page, "ann")

    _go_to(page, "Nodes")
    page.get_by_role("textbox", name="Name", exact=True).fill("other")
    page.get_by_role("textbox", name="Host").fill("localhost")
    page.get_by_role("textbox", name="AE title").fill("OTHER")
    _button(page, "Save node").click()
    expect(page.get_by_role("alert").filter(has_text="ann may not change nodes")).to_be_visible()
    _leave(page)
    assert watched.outside == []
    assert watched.errors == []


def _open(page: Page, name: str) -> None:
    """Have a page show what it has below, and what is folded away."""
    from playwright.sync_api import expect

    if name in ("Query and retrieve", "Dose objects"):
        more = page.get_by_role("button", name="More options")
        more.click()
        expect(more).to_have_attribute("aria-expanded", "true")
        expect(page.get_by_label("From time")).to_be_visible()
    if name == "Dose objects":
        page.get_by_label("Study date").select_option("Last 30 days")
        page.get_by_label("CT", exact=True).check()
        _button(page, "Plan").click()
        expect(page.get_by_text("Plan ready. Nothing has been retrieved yet.")).to_be_visible()
    if name == "Jobs":
        _rows(page).first.click()
        _button(page, "Open").click()
        expect(page.get_by_role("region", name="Retrieve from pacs")).to_be_visible()


def test_an_administrator_adds_a_node_tests_and_probes_it_and_no_page_has_violations(
    served: Served, ws: Workspace, pacs: Simulator, watched: Watched
) -> None:
    from playwright.sync_api import expect

    page = watched.page
    _enter(page, served, "adm", "/voila/render/nodes.ipynb")
    page.get_by_role("textbox", name="Name", exact=True).fill("second")
    page.get_by_role("textbox", name="Host").fill(pacs.host)
    page.get_by_role("spinbutton", name="Port").fill(str(pacs.port))
    page.get_by_role("textbox", name="AE title").fill(pacs.ae_title)
    _button(page, "Save node").click()
    expect(page.get_by_text("Saved second.")).to_be_visible()
    expect(_rows(page).filter(has_text="second")).to_have_count(1)
    _button(page, "Test").click()
    expect(page.get_by_role("status").filter(has_text=re.compile(r"^second responds in \d+ ms"))).to_be_visible()
    _button(page, "Probe").click()
    expect(page.get_by_text("Probed. Queries and retrieves use this profile from now on.")).to_be_visible()
    expect(page.get_by_text("C-FIND").first).to_be_visible()

    _ask(page)
    ws.retrieve(ws.find("pacs", modalities=["CT"]).head(1)).cancel()
    for name in _PAGES:
        _go_to(page, name)
        _open(page, name)
        _has_no_violations(page)
    _leave(page)
    _has_no_violations(page)
    assert watched.outside == []
    assert watched.errors == []


_IS_SEEN = """() => { const style = getComputedStyle(document.activeElement);
  return document.activeElement === document.body || style.outlineStyle !== "none" || style.boxShadow !== "none"; }"""
"""Whether what has the keyboard shows that it has it."""


def _tab_to(page: Page, wanted: Locator, *, back: bool = False) -> None:
    """Go on by Tab until something has the focus."""
    for _ in range(80):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        assert page.evaluate(_IS_SEEN), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    pytest.fail(f"Tab does not come to {wanted}")


def test_a_retrieve_needs_no_mouse(served: Served, ws: Workspace, watched: Watched) -> None:
    from playwright.sync_api import expect

    page = watched.page
    _enter(page, served, "bob")
    before = len(ws.jobs.list())
    expect(page.get_by_text(re.compile(r"responds in \d+ ms")).first).to_be_visible()
    _tab_to(page, page.get_by_role("link", name="Query and retrieve"))
    page.keyboard.press("Enter")
    date = page.get_by_label("Study date")
    expect(date).to_be_visible()
    _tab_to(page, date)
    page.keyboard.type("Last 30")
    _tab_to(page, page.get_by_label("CT", exact=True))
    page.keyboard.press("Space")
    _tab_to(page, _button(page, "Query"))
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("Select rows to retrieve"))).to_be_visible()
    expect(_rows(page).first).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    cell = _rows(page).first.locator("td").first
    _tab_to_row(page)
    page.keyboard.press("Space")
    expect(cell).to_be_visible()
    wanted = _button(page, "Retrieve 1 row")
    expect(wanted).to_be_enabled()
    _tab_to(page, wanted)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Retrieve from pacs").first).to_be_visible()
    assert len(ws.jobs.list()) == before + 1
    job = page.get_by_role("region", name="Retrieve from pacs").first
    expect(job.get_by_role("status")).to_have_text("Running")
    expect(wanted).to_be_focused()  # whatever is drawn anew meanwhile
    _tab_to(page, job.get_by_role("button", name="Cancel retrieve from pacs"))
    page.keyboard.press("Enter")
    expect(job.get_by_role("status")).to_have_text("Cancelled")
    expect(job.get_by_role("button", name="Retry failed: retrieve from pacs")).to_be_focused()
    _tab_to(page, page.get_by_role("button", name="Log out"), back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Password")).to_be_visible()


def _tab_to_row(page: Page) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("Boolean(document.activeElement.closest('table.dataTable tbody'))"):
            return
    pytest.fail("Tab does not come to the rows")


def test_a_viewer_is_refused_by_the_kernel_which_runs_no_code_and_whose_end_is_told(
    served: Served, ws: Workspace, watched: Watched
) -> None:
    from playwright.sync_api import expect

    page = watched.page
    before = len(ws.jobs.list())
    for waiting in served.kernels():  # for a visitor, who is not given one that has ended
        waiting.kill()
    _enter(page, served, "vic", "/voila/render/query.ipynb")
    _ask(page)
    _select_two(page)
    _button(page, "Retrieve 2 rows").click()
    expect(page.get_by_role("alert").filter(has_text="vic may not retrieve")).to_be_visible()
    assert len(ws.jobs.list()) == before

    # Past the page: the server passes no code on.
    kernel = page.evaluate(_KERNEL_ID)
    target = ws.settings.workspace / "written"
    channels = f"{served.url.replace('http', 'ws')}/api/kernels/{kernel}/channels"
    assert page.evaluate(_EXECUTE, [channels, str(target)]) == "kernel_info_reply"
    assert not target.exists()

    (process,) = served.kernels(kernel)
    process.kill()
    gone = page.get_by_role("alert").filter(has_text="This page has expired.")
    expect(gone).to_be_visible()

    # The same page in a browser of 2021.
    page.add_init_script("delete window.structuredClone")
    gone.get_by_role("button", name="Reload").click()
    expect(page.get_by_role("alert").filter(has_text="a browser of 2022 or later")).to_be_visible()
