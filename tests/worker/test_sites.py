"""Several workers on one PostgreSQL, each with its site, AE title and port: a job goes where its node is reached."""

from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.worker.process import log_file
from qrkit.workspace import Workspace
from tests.peers.waiting import LOOPBACK, wait_until
from tests.workspace.opened import (
    QUICK,
    OpenWorkspace,
    StartSimulator,
    all_studies,
    files_of,
    link,
    of_size,
    uids_of,
    worker_in_thread,
    worker_rows,
)

LIMIT = 60.0
SITES = ("north", "south", "east")


@pytest.fixture
def stations(database_url: str, tmp_path: Path, open_workspace: OpenWorkspace) -> dict[str, Workspace]:
    """The same workspace as each of three stations opens it."""
    return {
        site: open_workspace(tmp_path / "shared", database_url=database_url, site=site, ae_title=site.upper())
        for site in SITES
    }


@pytest.fixture
def archives(
    stations: dict[str, Workspace], hospital: GeneratedHospital, start_simulator: StartSimulator
) -> dict[str, Simulator]:
    """An archive at each site, which knows only the station of its own site."""
    found = {}
    for site, station in stations.items():
        pacs = found[site] = start_simulator(hospital, ae_title=f"PACS_{site.upper()}")
        pacs.add_destination(station.settings.ae_title, LOOPBACK, station.settings.port)
        stations["north"].nodes.add(
            site,
            host=LOOPBACK,
            port=pacs.port,
            ae_title=pacs.ae_title,
            can_get=False,
            sites=site,
            timeouts=QUICK,
        )
    return found


def test_each_job_goes_to_the_station_that_reaches_its_node(
    stations: dict[str, Workspace], archives: dict[str, Simulator], hospital: GeneratedHospital
) -> None:
    asking = stations["north"]
    studies = dict(zip(SITES, all_studies(hospital)[:3], strict=True))
    with ExitStack() as running:
        running.enter_context(worker_in_thread(asking))
        jobs = {
            site: asking.retrieve_uids(site, study_uids=[study.StudyInstanceUID]) for site, study in studies.items()
        }
        assert jobs["north"].wait(timeout=LIMIT).state is JobState.COMPLETE
        assert jobs["south"].state is JobState.QUEUED
        assert asking.nobody_for("south", one_starts=True).endswith("it waits for one at one of its sites: south.")
        assert asking.nobody_for("north") == ""
        for site in ("south", "east"):
            running.enter_context(worker_in_thread(stations[site]))
        for job in jobs.values():
            assert job.wait(timeout=LIMIT).state is JobState.COMPLETE, job.status.error
        wait_until(lambda: len(worker_rows(asking)) == 3, what="three workers")
        rows = asking.sql("SELECT site, ae_title, port, service FROM workers WHERE state = 'running' ORDER BY site")
    assert rows["site"].tolist() == sorted(SITES)
    assert rows["ae_title"].tolist() == [site.upper() for site in sorted(SITES)]
    assert rows["port"].tolist() == [stations[site].settings.port for site in sorted(SITES)]
    assert rows["service"].all()
    assert len({log_file(station.settings) for station in stations.values()}) == len(SITES)
    assert files_of(asking) == set().union(*map(uids_of, studies.values()))
    for site, pacs in archives.items():
        assert {one.service for one in pacs.requests} >= {"C-MOVE"}, site
        callers = asking.sql("SELECT DISTINCT source FROM instances WHERE StudyInstanceUID = ?", [
            studies[site].StudyInstanceUID
        ])  # fmt: skip
        assert callers["source"].tolist() == [site]


def test_two_workers_together_keep_to_the_associations_that_a_node_allows(
    tmp_path: Path, open_workspace: OpenWorkspace, start_simulator: StartSimulator, hospital: GeneratedHospital
) -> None:
    first, other = (
        open_workspace(tmp_path / "both", site=site, worker_idle_exit=20, retries=3, retry_pause=1)
        for site in ("north", "south")
    )
    pacs = start_simulator(hospital, quirks=Quirks(max_associations=2))
    link(first, pacs, associations=2)
    starting, *studies = of_size(hospital, 8)[:7]
    started = first.retrieve_uids("pacs", study_uids=[starting.StudyInstanceUID], method="get")
    assert started.wait(timeout=LIMIT).state is JobState.COMPLETE
    with worker_in_thread(other):  # beside the process that was started
        wait_until(lambda: len(worker_rows(first)) == 2, LIMIT, what="two workers")
        pacs.quirks = Quirks(max_associations=2, delay_object=0.05)
        jobs = [first.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="get") for study in studies]
        done = [job.wait(timeout=LIMIT) for job in jobs]
    assert [(job.state, job.error) for job in done] == [(JobState.COMPLETE, "")] * len(jobs)
    # a busy PACS may still count one that we have released; both workers at their own limit would meet it every time
    assert sum(item.failures for job in done for item in job.items) <= 1


def test_a_killed_station_is_missed_at_once_and_the_next_one_of_its_site_fetches_the_rest(
    stations: dict[str, Workspace], archives: dict[str, Simulator], hospital: GeneratedHospital
) -> None:
    asking, south = stations["north"], stations["south"]
    archives["south"].quirks = Quirks(delay_object=0.1)
    wanted = of_size(hospital, 20)[0]
    job_id = south.retrieve_uids("south", study_uids=[wanted.StudyInstanceUID]).job_id  # starts a worker of its own
    wait_until(lambda: len(files_of(south)) > 2, LIMIT, what="some objects")
    (pid,) = worker_rows(asking)
    assert asking.nobody_for("south") == ""
    psutil.Process(pid).kill()
    wait_until(lambda: asking.nobody_for("south"), what="it is missed")
    assert asking.nobody_for("south").endswith("it waits for one at one of its sites: south.")
    archives["south"].quirks = Quirks()
    job = asking.jobs[job_id]
    with worker_in_thread(asking), worker_in_thread(south):
        wait_until(lambda: not asking.nobody_for("south"), what="there is another one")
        assert not south.health().problems
        done = job.wait(timeout=LIMIT)
    assert (done.state, done.error) == (JobState.COMPLETE, "")
    assert files_of(asking) == uids_of(wanted)
    assert done.received <= len(files_of(asking)) + 1
    assert south.health().problems[0].startswith("No worker of the site south runs")
