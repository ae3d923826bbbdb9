"""Reports: whole files that need no network, without patients unless asked for, readable by everybody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import qrkit
from qrkit.errors import InputError, NotFound
from qrkit.markup import paragraph
from qrkit.report.page import Report, ReportSection, is_about_people, render, without_people
from qrkit.simulator import Simulator, small_hospital
from qrkit.workspace import Workspace
from tests.cli.commands import qrkit as command
from tests.peers.programs import in_ci
from tests.workspace.opened import end_workers

_NASTY = "<img src=x onerror=\"document.title='run'\">$title</script>"
_MONTH = ("2026-06-01", "2026-06-30")


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace that has asked three times, planned and fetched once."""
    folder = tmp_path_factory.mktemp("reports")
    with (
        Simulator(small_hospital(seed=1, studies=80, days=30)) as pacs,
        qrkit.open(folder, host="127.0.0.1", port=0, worker_idle_exit=0) as opened,
    ):
        opened.nodes.add("pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title)
        found = opened.find("pacs", date=_MONTH, description_exclude="imported")
        opened.find("pacs", date=_MONTH, PatientID="Q*", PatientName="*")
        opened.find("pacs", date=("2026-06-01", "2026-06-20"), description_exclude="imported")
        opened.plan("pacs", dose=["CT"], date=_MONTH)
        small = found[found["NumberOfStudyRelatedInstances"] < 10].head(2)
        opened.retrieve(small).wait(timeout=60)
        yield opened
        end_workers(folder)


def _query(ws: Workspace, place: int) -> str:
    """Return the id of the first, second … query that was asked by `find` above."""
    asked = ws.queries.list().sort_values("started")
    return str(asked["query_id"].iloc[place])


def _read(path: Path) -> str:
    return (
        path.read_text(encoding="utf-8").replace("<wbr>", "").replace('<span class="day">', "").replace("</span>", "")
    )


@pytest.mark.slow
def test_the_report_of_a_query_says_what_was_asked_and_how_far_it_can_be_trusted(
    ws: Workspace, tmp_path: Path
) -> None:
    query_id = _query(ws, 0)
    page = _read(ws.report("query", query_id, path=tmp_path / "query.html"))
    for part in (
        "studies of 2026-06-01 to 2026-06-30, description without imported",
        "Complete.",
        "description exclude",
        query_id,
        f"qrkit queries rerun {query_id}",
        "qrkit find pacs --from 2026-06-01 --until 2026-06-30 --description-exclude imported",
        f"qrkit report query {query_id}",
        f"qrkit {qrkit.__version__}",
        "StudyInstanceUID",
    ):
        assert part in page
    assert page.count("plotly.js v") == 1


@pytest.mark.slow
def test_patients_are_left_out_unless_they_are_asked_for(ws: Workspace, tmp_path: Path) -> None:
    query_id = _query(ws, 1)
    answer = ws.queries[query_id]
    kept = _read(ws.report("query", query_id, path=tmp_path / "without.html"))
    assert "Columns that identify people are left out." in kept
    for column in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"):
        assert f">{column}</th>" not in kept
        for value in answer[column].dropna().astype("str").unique()[:20]:
            assert f">{value}<" not in kept
    assert "PatientID (left out)" in kept  # the question is about patients too
    assert "PatientID Q*" not in kept
    assert "qrkit find" not in kept
    told = _read(ws.report("query", query_id, path=tmp_path / "with.html", with_patients=True))
    assert ">PatientName</th>" in told
    assert "Store it where patient data may be stored" in told
    assert "PatientID=Q*" in told
    assert "--with-patients" in told


@pytest.mark.slow
def test_a_plan_a_job_and_a_comparison_have_theirs(ws: Workspace, tmp_path: Path) -> None:
    plan_id, job_id = ws.plans.list()["plan_id"][0], ws.jobs.list()["job_id"][0]
    plan = _read(ws.report("plan", plan_id, path=tmp_path / "plan.html"))
    assert f"qrkit retrieve pacs --plan {plan_id}" in plan
    assert "to retrieve" in plan
    assert ">PatientID</th>" not in plan
    job = _read(ws.report("job", job_id, path=tmp_path / "job.html"))
    assert "Retrieve from pacs: complete" in job
    assert "Received objects" in job
    before, after = _query(ws, 0), _query(ws, 2)
    compared = _read(ws.report("compare", before, after, path=tmp_path / "compare.html"))
    changes = ws.queries.diff(before, after)
    assert f"{len(changes)} differences between two results" in compared
    assert f"qrkit queries diff {before} {after}" in compared
    assert "plotly.js v" not in compared  # no picture, so half a kilobyte instead of five megabytes


@pytest.mark.slow
def test_the_command_line_writes_the_file(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "made.html"
    done = command(ws, "report", "query", _query(ws, 0), "-o", str(path))
    assert done.status == 0, done.err
    assert str(path) in done.err
    assert "<h1>" in _read(path)


@pytest.mark.slow
def test_what_cannot_be_reported_is_an_error(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    with pytest.raises(InputError, match=r"no report 'weather'\. Use query, plan, job or compare"):
        ws.report("weather", "1", path=path)
    with pytest.raises(InputError, match="compare needs 2 ids, not 1"):
        ws.report("compare", "1", path=path)
    with pytest.raises(NotFound):
        ws.report("query", "1", path=path)
    with pytest.raises(InputError, match="cannot be written"):
        ws.report("query", _query(ws, 0), path=tmp_path / "none" / "x.html")


def test_everything_in_a_page_is_escaped() -> None:
    frame = pd.DataFrame({_NASTY: [_NASTY, "$facts"]})
    page = render(
        Report(
            title=_NASTY,
            facts={_NASTY: _NASTY},
            sections=(ReportSection(title=_NASTY, parts=(paragraph(_NASTY), frame)),),
            again=(_NASTY,),
            made=_NASTY,
            versions={_NASTY: _NASTY},
        )
    )
    assert "<img" not in page
    assert "$facts" in page


def test_columns_about_people_are_known_by_their_names() -> None:
    frame = pd.DataFrame(columns=["PatientSex", "StudyDate", "OperatorsName", "NumberOfPatientRelatedStudies"])
    assert list(without_people(frame).columns) == ["StudyDate", "NumberOfPatientRelatedStudies"]
    assert is_about_people("00101010")


@pytest.mark.parametrize("kind", ["query", "job"])
def test_a_browser_shows_it_alone_in_light_and_dark_and_axe_finds_nothing(
    ws: Workspace, tmp_path: Path, kind: str
) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None and not in_ci():
        pytest.skip("there is no browser; on Debian and Ubuntu: apt-get install chromium")
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    chosen = _query(ws, 0) if kind == "query" else str(ws.jobs.list()["job_id"][0])
    path = ws.report(kind, chosen, path=tmp_path / "report.html")
    outside: list[str] = []
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 800, "height": 900})
        page.on("pageerror", lambda error: errors.append(error.message))
        page.on("request", lambda request: outside.append(request.url))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
            page.goto(path.as_uri())
            page.locator(".main-svg").first.wait_for()
            page.screenshot(path=tmp_path / f"{kind}-{scheme}.png", full_page=True)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert page.title() != "run"
        browser.close()
    assert [url for url in outside if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
