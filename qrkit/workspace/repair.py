"""A workspace whose files are damaged, or whose state is gone: mended as far as what is there allows."""

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
from qrkit.store.repair.answers import AnswerRepair, repair_answers
from qrkit.store.repair.lost_answers import recover_answers
from qrkit.store.repair.objects import ObjectRepair, repair_objects
from qrkit.store.repair.state import StateRepair, is_damaged, rebuild_state
from qrkit.store.state import FILE_NAME, State
from qrkit.store.workers import WorkerTable
from qrkit.words import counted
from qrkit.worker.health import alive_workers
from qrkit.worker.process import lock_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What was found in a workspace, and what became of it.

    Attributes
    ----------
    done
        One sentence for each thing that was mended.
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
    """Mend a workspace; see `qrkit.repair`."""
    environment = dict(os.environ)
    where = workspace_folder(folder, environment)
    settings = load_settings(where, environment)
    with ExitStack() as stack:
        _keep_workers_out(stack, settings)
        found = [_of_state(_mend_state(settings))]
        with State.open(settings.database_url or where) as state:
            _check_no_worker(state)
            with _reading(f"The files in {settings.files}"):
                found.append(_of_files(repair_objects(state, settings.files, thorough=thorough)))
            with _reading(f"The answers in {where / 'results'}"):
                found.append(_of_answers(repair_answers(state, where / "results")))
                found.append(_of_forgotten(recover_answers(state, where / "results")))
            with _reading(f"The plans in {where / 'plans'}"):
                found.append(_of_plans(PlanTable(state, where / "plans")))
    return Repair(
        done=tuple(text for one in found for text in one.get("done", ())),
        lost=tuple(text for one in found for text in one.get("lost", ())),
    )


def _keep_workers_out(stack: ExitStack, settings: Settings) -> None:
    lock = FileLock(lock_path(settings.workspace, settings.site))
    try:
        stack.enter_context(lock.acquire(timeout=1.0))
    except Timeout as error:
        raise _works(settings.workspace) from error


def _check_no_worker(state: State) -> None:
    """Refuse while workers of other sites or machines run: what they store just now would be listed as nobody's."""
    others = alive_workers(WorkerTable(state))
    if others:
        raise WorkerError(
            f"A worker runs this workspace on {others[0].host}.", advice="Stop all workers, then repair again."
        )


def _works(folder: Path) -> WorkerError:
    return WorkerError(f"A worker runs the workspace {folder} on this machine.", advice="Stop it, then repair again.")


def _mend_state(settings: Settings) -> StateRepair | None:
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
    """Translate what the system says of a disk or a share that does not give its files."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what} cannot be read: {error.strerror}.", advice="Check that disk or share.") from error


Sentences = Mapping[str, tuple[str, ...]]


def _of_state(salvage: StateRepair | None) -> Sentences:
    if salvage is None:
        return {}
    rows = sum(salvage.rows.values())
    name = salvage.quarantined.name
    done = (f"The state was damaged. The damaged file was renamed to {name}; {counted(rows, 'row')} saved.",)
    if not salvage.incomplete:
        return {"done": done}
    told = f"Rows of these tables could not be read: {', '.join(salvage.incomplete)}; a backup may have them."
    return {"done": done, "lost": (told,)}


def _of_files(relisted: ObjectRepair) -> Sentences:
    done = []
    if relisted.listed:
        are = "was" if relisted.listed == 1 else "were"
        done.append(f"{counted(relisted.listed, 'object')} that {are} in the folder and not listed: listed now.")
    if relisted.quarantined:
        first = f"{relisted.quarantined[0]}.damaged-…"
        done.append(f"{counted(len(relisted.quarantined), 'damaged file')} renamed, such as {first}.")
    missing = len(relisted.quarantined) + relisted.gone
    if not missing:
        return {"done": tuple(done)}
    told = f"{counted(missing, 'object')} not here any more as stored: retrieve again, which fetches what is missing."
    return {"done": tuple(done), "lost": (told,)}


def _of_answers(mended: AnswerRepair) -> Sentences:
    done = []
    if mended.quarantined:
        names = ", ".join(mended.quarantined)
        done.append(f"{counted(len(mended.quarantined), 'damaged result file')} renamed: {names}.")
    if mended.saved:
        done.append(f"{counted(mended.saved, 'settled answer')} saved.")
    if not mended.lost:
        return {"done": tuple(done)}
    advice = Advice(f"Results lost: {', '.join(mended.lost)}. Run these queries again", Action.RERUN_QUERY, "ID")
    return {"done": tuple(done), "lost": (str(advice),)}


def _of_forgotten(count: int) -> Sentences:
    told = f"{counted(count, 'answer')} in the folder and not in the history: listed now."
    return {"done": (told,)} if count else {}


def _of_plans(table: PlanTable) -> Sentences:
    lost = [row.plan_id for row in table.list(1_000_000) if not table.is_readable(row)]
    if not lost:
        return {}
    return {"lost": (f"Plans whose tables cannot be read, to be planned again: {', '.join(lost)}.",)}
