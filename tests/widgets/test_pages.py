"""The pages as plain objects: what a browser would send is set, what it would show is read."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import ipywidgets
import pytest

from qrkit.access import Role
from qrkit.errors import NotAllowed, StateUnavailable
from qrkit.query.dates import dates
from qrkit.widgets.dose_page import DosePage
from qrkit.widgets.history_page import HistoryPage
from qrkit.widgets.jobs_page import JobsPage, names_of
from qrkit.widgets.nodes_page import NodesPage
from qrkit.widgets.page import PAGES, Dashboard
from qrkit.widgets.panel import Notice
from qrkit.widgets.query_form import DATES, QueryForm, dates_of
from qrkit.widgets.query_page import QueryPage
from qrkit.widgets.result_table import SelectableTable
from qrkit.widgets.users_page import UsersPage
from qrkit.workspace import Jobs, Queries, Workspace
from tests.widgets.waiting import finish, pages_end
from tests.workspace.opened import Linked


@pytest.fixture
def query(linked: Linked) -> Iterator[QueryPage]:
    made = QueryPage(workspace=linked.workspace)
    finish(made.tiles.background)
    yield made
    made.close()


def select(table: SelectableTable, *rows: int) -> None:
    """Select rows, as a browser does."""
    table.children[0].selected_rows = list(rows)


def ask_everything(page: QueryPage) -> None:
    page.form.dates.value = "Any date"
    page.ask.click()
    assert page.ask.disabled
    assert not page.cancel.disabled
    finish(page.background)


def test_a_query_fills_the_table_and_the_selected_rows_are_retrieved(query: QueryPage, linked: Linked) -> None:
    assert "responds in" in query.tiles.tiles.value
    ask_everything(query)
    assert len(query.results.frame) == linked.hospital.size
    assert "complete" in query.notice.value
    select(query.results, 4, 2)
    assert query.retrieve.description == "Retrieve 2 rows"
    assert "objects" in query.cost.value
    # What the form says meanwhile does not matter.
    query.form.node.index = None
    query.retrieve.click()
    (job_id,) = linked.workspace.jobs.list()["job_id"]
    asked = {item.request.StudyInstanceUID for item in linked.workspace.jobs[job_id].status.items}
    assert asked == set(query.results.frame["StudyInstanceUID"].iloc[[2, 4]])
    assert len(query.jobs.children) == 1
    again = QueryPage(workspace=linked.workspace)
    assert [shown.job_id for shown in again.jobs.children] == [job_id]
    again.close()
    linked.workspace.jobs[job_id].cancel()


def test_an_error_is_one_escaped_sentence_that_is_read_out(query: QueryPage, linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", port=1)
    ask_everything(query)
    assert 'role="alert"' in query.notice.value
    assert "refused the connection" in query.notice.value
    assert not query.ask.disabled
    query.notice.alert("<img src=x>")
    assert "<img" not in query.notice.value


def test_what_nobody_foresaw_is_told_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    notice = Notice()
    notice.button("Divide", lambda: 1 // 0).click()
    assert "Internal error in qrkit (ZeroDivisionError)." in notice.value
    assert "A callback of the page has failed" in caplog.text
    notice.failed(NotAllowed("vic may not retrieve."))
    assert "vic may not retrieve." in notice.value


def test_missing_rows_cannot_be_selected(query: QueryPage) -> None:
    ask_everything(query)
    select(query.results, -1, 3, 10**9)
    assert query.results.selected == (3,)


@pytest.mark.parametrize("dose", [False, True])
def test_every_field_is_explained_in_place(linked: Linked, *, dose: bool) -> None:  # noqa: ARG001 - see below
    form = QueryForm(nodes=["pacs"], dose=dose)
    fields = [form.node, form.dates, form.first, form.last, *form.texts.values()]
    fields += [form.toshiba, form.empty_sr] if dose else [form.level]
    beside = {box.children[0]: box.children[1].value for box in _all_in(form) if _is_field(box)}
    assert all("<span>" in beside[field] for field in fields)
    assert all(box.tooltip for box in form.boxes.values())


def _is_field(widget: ipywidgets.Widget) -> bool:
    return "qrkit-field" in getattr(widget, "_dom_classes", ()) and len(widget.children) == 2


def _all_in(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _all_in(child)


def test_presets_tick_what_they_mean(linked: Linked) -> None:  # noqa: ARG001 - widgets clean up after themselves
    form = QueryForm(nodes=["pacs"])
    form._select(("RF", "XA"))
    form.dates.value = "Today"
    form.texts["patient_id"].value = " Q1* "
    today = date.today().isoformat()
    assert form.given == {
        "patient_id": "Q1*",
        "date_from": today,
        "date_until": today,
        "modalities": ["RF", "XA"],
        "level": "STUDY",
    }
    assert dates_of("Yesterday", date(2026, 3, 1)) == {"date_from": "2026-02-28", "date_until": "2026-02-28"}


@pytest.mark.parametrize("preset", [preset for preset in DATES if preset not in ("Any date", "Custom range")])
def test_a_preset_of_the_form_means_the_days_that_the_command_line_reads(preset: str) -> None:
    today = date(2026, 3, 8)
    read = dates(preset.lower(), None, None, today=today)
    assert read is not None
    assert dates_of(preset, today) == {"date_from": str(read.first), "date_until": str(read.last)}
    assert preset != "Last 7 days" or (read.first, read.last) == (date(2026, 3, 1), today)


@pytest.mark.slow
def test_a_plan_is_made_shown_and_fetched_as_it_was_made(linked: Linked) -> None:
    page = DosePage(workspace=linked.workspace)
    page.form.dates.value = "Any date"
    page.form.boxes["CT"].value = True
    page.make.click()
    finish(page.background)
    assert "whole archive" in page.notice.value
    page.form.dates.value = "Custom range"
    page.form.first.value, page.form.last.value = date(2026, 6, 1), date(2026, 6, 30)
    page.make.click()
    finish(page.background)
    assert "found" in page.summary.value
    assert not page.retrieve.disabled
    page.form.boxes["CT"].value = False
    page.retrieve.click()
    (plan_id,) = linked.workspace.plans.list()["plan_id"]
    planned = {one.SeriesInstanceUID for one in linked.workspace.plans[plan_id].requests()}
    (job_id,) = linked.workspace.jobs.list()["job_id"]
    fetched = {item.request.SeriesInstanceUID for item in linked.workspace.jobs[job_id].status.items}
    assert fetched == planned
    names = names_of(linked.workspace, plan_id)
    assert {names[uid][:8] for uid in linked.workspace.plans[plan_id].studies["StudyInstanceUID"]} == {"2026-06-"}
    assert {names[uid] for uid in planned & set(names)} >= {"Dose Report"}
    linked.workspace.jobs[job_id].cancel()
    page.ask.click()
    assert "Enter an accession number" in page.notice.value
    page.wanted.value = str(linked.workspace.plans[plan_id].studies["StudyInstanceUID"].iloc[0])
    page.ask.click()
    assert "reason" in page.reasons.value
    assert page.wanted.value in page.reasons.value
    page.wanted.value = "<b>no such</b>"
    page.ask.click()
    assert "No plan includes this item." in page.reasons.value
    page.close()


@pytest.mark.slow
def test_answers_are_opened_asked_again_and_compared(linked: Linked) -> None:
    linked.workspace.find("pacs", modalities=["CT"])
    page = HistoryPage(workspace=linked.workspace)
    page.buttons["Open"].click()
    assert "Select one query" in page.notice.value
    select(page.table, 0)
    page.buttons["Open"].click()
    assert len(page.results.frame)
    page.buttons["Run again"].click()
    finish(page.background)
    assert len(page.table.frame) == 2
    select(page.table, 0, 1)
    page.buttons["Compare"].click()
    assert "0 differences: 0 added, 0 removed, 0 changed." in page.notice.value
    page.close()


def test_jobs_are_opened_and_cancelled(linked: Linked) -> None:
    studies = linked.workspace.find("pacs", modalities=["CT"])
    job = linked.workspace.retrieve(studies.head(1))
    job.pause()
    page = JobsPage(workspace=linked.workspace)
    page.buttons["Cancel"].click()
    assert "Select a job" in page.notice.value
    select(page.table, 0)
    page.buttons["Open"].click()
    assert page.opened.children[0].job_id == job.job_id
    assert f'href="jobs.ipynb?job={job.job_id}"' in page.opened.children[1].value
    assert "Press Resume to continue." in page.opened.children[0].note
    assert page.opened.children[0].note.startswith("Paused by ")
    (wanted,) = studies.head(1).itertuples()
    assert f"Study {wanted.StudyDate:%Y-%m-%d}, {wanted.StudyDescription}, {wanted.PatientID}<" in (
        page.opened.children[2].value
    )
    second = linked.workspace.retrieve(studies.tail(1))
    second.pause()
    assert page.tick()
    assert list(page.table.frame["job_id"]) == [second.job_id, job.job_id]
    assert page.table.selected == (1,)  # the same job, one row further down
    second.cancel()
    page.buttons["Cancel"].click()
    assert job.status.cancel_requested
    page.close()


@pytest.mark.slow
def test_a_link_opens_its_job_or_query_and_says_if_there_is_none(linked: Linked) -> None:
    studies = linked.workspace.find("pacs", modalities=["CT"])
    job = linked.workspace.retrieve(studies.head(1))
    job.cancel()
    query_id = studies.attrs["qrkit"]["query_id"]
    for address, page in ((f"job={job.job_id}", JobsPage), (f"query={query_id}&x=1", HistoryPage)):
        dashboard = Dashboard(workspace=linked.workspace, address=address)
        assert dashboard.notice.value == ""
        assert isinstance(dashboard.shown.children[0], page)
        dashboard.close()
    for address in ("job=gone", "query=<b>", "job=" + "x" * 100):
        dashboard = Dashboard(workspace=linked.workspace, address=address)
        assert 'role="alert"' in dashboard.notice.value
        assert "<b>" not in dashboard.notice.value
        dashboard.close()


def test_a_node_is_added_tested_edited_and_removed(linked: Linked) -> None:
    page = NodesPage(workspace=linked.workspace)
    for key, value in {"name": "other", "host": "127.0.0.1", "ae_title": linked.pacs.ae_title}.items():
        page.texts[key].value = value
    page.port.value = linked.pacs.port
    page.buttons["Save"].click()
    assert "other" in linked.workspace.nodes
    page.buttons["Test"].click()
    finish(page.background)
    assert "other responds in" in page.notice.value
    select(page.table, 0)
    page.buttons["Edit"].click()
    page.texts["description"].value = "the second"
    page.buttons["Save"].click()
    assert linked.workspace.nodes["other"].description == "the second"
    select(page.table, 0)
    page.buttons["Remove"].click()
    assert "other" not in linked.workspace.nodes
    page.close()


@pytest.mark.slow
def test_an_administrator_adds_changes_and_removes_users(workspace: Workspace) -> None:
    page = UsersPage(workspace=workspace)
    page.name.value, page.password.value = "ann", "short"
    page.buttons["Add"].click()
    assert "8 characters" in page.notice.value
    page.password.value = "correct horse"
    page.buttons["Add"].click()
    assert "Added ann as viewer." in page.notice.value
    assert page.password.value == ""  # it does not stay in the browser
    page.buttons["Role"].click()
    assert "Select one user" in page.notice.value
    select(page.table, 0)
    page.role.value = Role.OPERATOR
    page.buttons["Role"].click()
    assert workspace.users.role_of("ann") is Role.OPERATOR
    select(page.table, 0)
    page.password.value = "battery staple"
    page.buttons["Password"].click()
    assert workspace.users.check("ann", "battery staple") is Role.OPERATOR
    select(page.table, 0)
    page.buttons["Remove"].click()
    assert "ann" not in workspace.users
    page.close()


@pytest.mark.slow
def test_nobody_but_an_administrator_is_shown_the_users(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.users.add("ann", "correct horse", role="operator")
    monkeypatch.setenv("QRKIT_USER", "ann")
    monkeypatch.setenv("QRKIT_ROLE", "operator")
    with Workspace.open(workspace.settings.workspace) as opened:
        dashboard = Dashboard(workspace=opened, name="users")
        assert "users" not in [name for name, _ in dashboard.frame.pages]
        assert dashboard.frame.page == "start"
        with pytest.raises(NotAllowed, match="needs the role administrator"):
            UsersPage(workspace=opened)
        dashboard.close()
        pages_end()


@pytest.mark.slow
def test_every_page_is_made_when_it_is_first_looked_at(workspace: Workspace) -> None:
    dashboard = Dashboard(workspace=workspace)
    for name in PAGES:
        dashboard.frame.page = name
        assert dashboard.notice.value == ""
        assert isinstance(dashboard.shown.children[0], PAGES[name])  # type: ignore[arg-type] # they are classes
    first: Any = dashboard._made["query"]
    dashboard.frame.page = "query"
    assert dashboard.shown.children == (first,)
    dashboard.close()


@pytest.mark.slow
def test_while_the_state_is_away_a_page_says_so_and_is_right_again_when_it_is_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StateUnavailable("The state of the workspace, postgresql://host/qrkit, cannot be used: refused.")

    dashboard = Dashboard(workspace=workspace, name="query")
    with monkeypatch.context() as trouble:
        trouble.setattr(Queries, "list", away)
        dashboard.frame.page = "history"
        assert "The database of this workspace is not available." in dashboard.notice.value
        assert "postgresql" not in dashboard.notice.value
        (again,) = dashboard.shown.children
    again.click()
    assert isinstance(dashboard.shown.children[0], HistoryPage)
    assert dashboard.notice.value == ""
    dashboard.frame.page = "jobs"
    (jobs,) = dashboard.shown.children
    with monkeypatch.context() as trouble:
        trouble.setattr(Jobs, "list", away)
        jobs.tick()
        assert "is not available" in jobs.notice.value
    jobs.tick()
    assert jobs.notice.value == ""
    dashboard.close()
