"""Runs what recurs, in a worker: asks or plans, and queues a retrieve of what that gives.

Objects that are here are not fetched again: a plan leaves them out, and a retrieve of rows finds them held.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from qrkit.errors import QrkitError
from qrkit.hours import time_zone
from qrkit.jobs import JobState
from qrkit.query import Coverage, Query, is_given
from qrkit.query.dates import dates
from qrkit.store.schedules import RUNNING, Schedule, ScheduleRun
from qrkit.worker.background_task import BackgroundTask
from qrkit.workspace.questions import Questions
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.dose import Plan

logger = logging.getLogger(__name__)

_AT_ONCE = 2
_LOOK = 2.0


class ScheduleRunner(BackgroundTask):
    """Runs the schedules of a workspace; a run that is due later keeps no worker from leaving."""

    def __init__(self, services: Services) -> None:
        super().__init__("schedule", every=_LOOK, at_once=_AT_ONCE)
        self._services = services
        self._table = services.schedules
        self._jobs = services.jobs
        self._questions = Questions(services)
        self._running: list[Future[None]] = []

    def take_over(self, alive_worker_ids: Collection[str]) -> None:
        """Make good for workers that died in the middle of a run, and for clocks that were wrong."""
        self._table.interrupt_orphans(alive_worker_ids)
        self._table.correct_due()

    def _poll(self) -> None:
        self._follow()
        self._dispatch()

    def _follow(self) -> None:
        """End the runs whose jobs have ended."""
        for run in self._table.open_runs():
            if run.job_id:
                job = self._jobs.get_summary(run.job_id)
                if job.state.is_final:
                    doubtful = run.error and job.state is JobState.COMPLETE  # all of an answer that may be cut off
                    state = JobState.PARTIAL if doubtful else job.state
                    self._table.finish(run.run_id, state.value, " ".join(filter(None, (run.error, job.error))))

    def _dispatch(self) -> None:
        self._running = [future for future in self._running if not future.done()]
        nodes = [node.name for node in self._services.nodes_within_reach()]
        # looking first: a claim takes the write lock
        while len(self._running) < _AT_ONCE and self._table.is_due(nodes):
            claimed = self._table.claim(self._worker_id, nodes)
            if claimed is None:
                break
            schedule, run = claimed
            if run.state == RUNNING:
                self._running.append(self._pool.submit(self._make, schedule, run))
            else:
                logger.warning("Schedule %s, run %d: %s", schedule.name, run.run_id, run.error)
        self._is_busy = bool(self._running)

    def _make(self, schedule: Schedule, run: ScheduleRun) -> None:
        try:
            self._ask(schedule, run, today_in(schedule.zone))
        except QrkitError as error:
            logger.warning("Schedule %s, run %d failed: %s", schedule.name, run.run_id, error)
            self._table.finish(run.run_id, "failed", str(error))
        except Exception as error:  # the worker must survive whatever one schedule does
            logger.exception("Schedule %s, run %d failed by an error of ours", schedule.name, run.run_id)
            said = f"An error inside qrkit, {type(error).__name__}; the worker's log has more."
            self._table.finish(run.run_id, "failed", said)

    def _ask(self, schedule: Schedule, run: ScheduleRun, today: date) -> None:
        given = {name: value for name, value in schedule.what.items() if is_given(value)}  # older ones: empty texts
        what = resolved(given, today=today)
        found: pd.DataFrame | Plan
        if schedule.kind == "plan":
            found = self._questions.plan(schedule.node, **what)
            count, coverage = len(found.requests()), found.coverage
            self._table.note(run.run_id, plan_id=found.plan_id, found=count)
        else:
            found = self._find(schedule.node, what)
            told = found.attrs["qrkit"]
            count, coverage = len(found), Coverage.from_json(told["coverage"])
            self._table.note(run.run_id, query_id=told["query_id"], found=count)
        problem = "" if coverage.is_complete else f"The result {coverage.verdict}"
        if count and schedule.retrieve is not None:
            from qrkit.workspace.retrieve import RetrieveOptions, Retriever

            job_id = Retriever(self._services).queue(found, RetrieveOptions(node=schedule.node, **schedule.retrieve))
            self._table.note(run.run_id, job_id=job_id, **({"error": problem} if problem else {}))
            return
        self._table.finish(run.run_id, "partial" if problem else "complete", problem)

    def _find(self, node: str, what: Mapping[str, Any]) -> pd.DataFrame:
        if "query" not in what:
            return self._questions.find(node, **what)
        query = Query.from_json(what["query"])
        if "date" in what:
            query = replace(query, dates=dates(what["date"], None, None, today=date.min))
        return self._questions.ask(node, query).frame()


def resolved(what: Mapping[str, Any], *, today: date) -> dict[str, Any]:
    """Return what is asked, with dates that are relative to a day as dates.

    >>> resolved({"modalities": "CT", "date": "yesterday"}, today=date(2026, 3, 1))
    {'modalities': 'CT', 'date': ('2026-02-28', '2026-02-28')}
    """
    given = dict(what)
    days = dates(given.pop("date", None), given.pop("date_from", None), given.pop("date_until", None), today=today)
    if days is None:
        return given
    ends = (days.first.isoformat(), days.last.isoformat())
    return given | {"date": ends[::-1] if days.note else ends}  # in the order given, so that the result reports it


def today_in(zone: str) -> date:
    """Return the day that it is in a time zone now."""
    return datetime.now(UTC).astimezone(time_zone(zone)).date()
