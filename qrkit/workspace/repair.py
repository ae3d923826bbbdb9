"""The repair of a workspace with damaged files or a lost state, and its report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from qrkit.advice import Action, Advice
from qrkit.errors import StoreError, WorkerError
from qrkit.settings import Settings, load_settings, workspace_folder
from qrkit.store.plans import PlanTable
from qrkit.store.repair.answers import AnswerRepair, recover_answers, repair_answers
from qrkit.store.repair.objects import ObjectRepair, repair_objects
from qrkit.store.repair.state import StateRepair, is_damaged, rebuild_state
from qrkit.store.state import FILE_NAME, State
from qrkit.store.workers import WorkerTable
from qrkit.words import counted
from qrkit.worker.health import alive_workers
from qrkit.worker.process import lock_path
from qrkit.workspace.arguments import read_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The report of a repair.

    Attributes
    ----------
    done
        One sentence for each thing that was repaired.
    lost
        One sentence for each thing that could not be, with what to do.
    """

    done: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost."""
        return not self.lost

    def to_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {"whole": self.is_whole, "done": list(self.done), "lost": list(self.lost)}

    def __str__(self) -> str:
        return "\n".join((*self.done, *self.lost)) or "Nothing is damaged."


def repair(folder: str | Path | None = None, *, thorough: bool = False) -> Repair:
    """Repair a workspace; see `qrkit.repair`."""
    environment = dict(os.environ)
    where = workspace_folder(None if folder is None else read_path("folder", folder), environment)
    settings = load_settings(where, environment)
    with ExitStack() as stack:
        _keep_workers_out(stack, settings)
        found = [_of_state(_repair_state(settings))]
        with State.open(settings.database_url or where) as state:
            _check_no_worker(state)
            with _reading(f"The files in {settings.files}"):
                found.append(_of_files(repair_objects(state, settings.files, thorough=thorough)))
            with _reading(f"The results in {where / 'results'}"):
                found.append(_of_results(repair_answers(state, where / "results")))
                found.append(_of_forgotten(recover_answers(state, where / "results")))
            with _reading(f"The plans in {where / 'plans'}"):
                found.append(_of_plans(PlanTable(state, where / "plans")))
    return Repair(
        done=tuple(text for part in found for text in part.get("done", ())),
        lost=tuple(text for part in found for text in part.get("lost", ())),
    )


def _keep_workers_out(stack: ExitStack, settings: Settings) -> None:
    lock = FileLock(lock_path(settings.workspace, settings.site))
    try:
        stack.enter_context(lock.acquire(timeout=1.0))
    except Timeout as error:
        raise WorkerError(
            f"A worker runs the workspace {settings.workspace} on this machine.", advice="Stop it, then repair again."
        ) from error


def _check_no_worker(state: State) -> None:
    """Refuse while workers of other sites or machines run: objects that they store now would lose their job."""
    others = alive_workers(WorkerTable(state))
    if others:
        raise WorkerError(
            f"A worker runs this workspace on {others[0].host}.", advice="Stop all workers, then repair again."
        )


def _repair_state(settings: Settings) -> StateRepair | None:
    path = settings.workspace / FILE_NAME
    if settings.database_url or not is_damaged(path):
        return None
    try:
        return rebuild_state(path)
    except OSError as error:
        raise StoreError(
            f"The damaged state {path} cannot be rebuilt: {error.strerror}.",
            advice="Make room there, then try again.",
        ) from error


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Translate the system's errors of a disk or a share that cannot be read."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what} cannot be read: {error.strerror}.", advice="Check that disk or share.") from error


Sentences = Mapping[str, tuple[str, ...]]


def _of_state(repaired: StateRepair | None) -> Sentences:
    if repaired is None:
        return {}
    rows = sum(repaired.rows.values())
    name = repaired.quarantined.name
    done = (f"The state was damaged. The damaged file was renamed to {name}; {counted(rows, 'row')} saved.",)
    if not repaired.incomplete:
        return {"done": done}
    lost = f"Rows of these tables could not be read: {', '.join(repaired.incomplete)}; a backup may have them."
    return {"done": done, "lost": (lost,)}


def _of_files(repaired: ObjectRepair) -> Sentences:
    done = []
    if repaired.listed:
        are, are_now = ("was", "it is") if repaired.listed == 1 else ("were", "they are")
        done.append(f"{counted(repaired.listed, 'object')} in the folder {are} not listed; now {are_now}.")
    if repaired.quarantined:
        first = f"{repaired.quarantined[0]}.damaged-…"
        done.append(f"{counted(len(repaired.quarantined), 'damaged file')} renamed, such as {first}.")
    missing = len(repaired.quarantined) + repaired.gone
    if not missing:
        return {"done": tuple(done)}
    lost = f"{counted(missing, 'object')} missing or damaged. Retrieve the series again."
    return {"done": tuple(done), "lost": (lost,)}


def _of_results(repaired: AnswerRepair) -> Sentences:
    done = []
    if repaired.quarantined:
        names = ", ".join(repaired.quarantined)
        done.append(f"{counted(len(repaired.quarantined), 'damaged result file')} renamed: {names}.")
    if repaired.saved:
        done.append(f"{counted(repaired.saved, 'settled result')} saved.")
    if not repaired.lost:
        return {"done": tuple(done)}
    advice = Advice(f"Results lost: {', '.join(repaired.lost)}. Run these queries again", Action.RERUN_QUERY, "ID")
    return {"done": tuple(done), "lost": (str(advice),)}


def _of_forgotten(count: int) -> Sentences:
    done = f"{counted(count, 'result')} in the folder and not in the history; now listed."
    return {"done": (done,)} if count else {}


def _of_plans(table: PlanTable) -> Sentences:
    lost = [row.plan_id for row in table.list(1_000_000) if not table.is_readable(row)]
    if not lost:
        return {}
    return {"lost": (f"The tables of these plans cannot be read. Create them again: {', '.join(lost)}.",)}
