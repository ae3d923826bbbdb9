"""The outcomes of items: what each ends as, what is written to the state, and which items are tried again."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from qrkit import errors
from qrkit.dimse.retrieve import Suboperations
from qrkit.dimse.status import MOVE_DESTINATION_UNKNOWN, SOP_CLASS_NOT_SUPPORTED, UNRECOGNISED_OPERATION
from qrkit.jobs import ItemOutcome, ItemRow, JobRow, JobState, RetryPolicy, failures_after, outcome
from qrkit.retrieve.expected import uid_of
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.reachability import Unreached, may_be_unreached
from qrkit.retrieve.transfer_syntaxes import conversions
from qrkit.store.files import is_own_failure
from qrkit.store.job_progress import Postponement, RunningItems
from qrkit.store.state import as_text
from qrkit.words import counted

logger = logging.getLogger(__name__)

_MOST_NAMED = 3


def outcome_of(active: ActiveItem, *, cancelled: bool) -> ItemOutcome:
    """Return the outcome of an item as it is now."""
    error, advice = _explanation(active, cancelled=cancelled)
    state, note, why = _state(active, error, cancelled=cancelled), _note(active), active.why
    if state is JobState.COMPLETE:  # nothing is wrong then, whatever went wrong on the way
        error, advice, note = "", "", f"{_proof(active) or error} {note}".strip()
    return ItemOutcome(
        state=state,
        expected=active.expected_number,
        stored=len(active.stored) or active.reported,
        missing=tuple(map(uid_of, active.missing)),
        received=active.received,
        bytes=active.bytes,
        error=error,
        advice=advice,
        note=note,
        transient=active.may_come_later,
        proven=not why,
        why=why,
    )


def _state(active: ActiveItem, error: str, *, cancelled: bool) -> JobState:
    has_all_listed = active.is_listed and not active.missing
    if (active.reported and not active.stored) or active.lacking or has_all_listed:  # only numbers decide
        unfinished = JobState.PARTIAL if active.stored or active.reported else JobState.FAILED
        return JobState.COMPLETE if not active.is_open else JobState.CANCELLED if cancelled else unfinished
    expected = sorted(active.expected or ()) if active.is_listed else None
    return outcome(expected=expected, stored=active.stored, error=error, cancelled=cancelled)


def _explanation(active: ActiveItem, *, cancelled: bool) -> tuple[str, str]:
    """Return what is wrong, and what to do about it."""
    reasons = list(active.notes)
    advice = ""
    if active.unstored and active.is_open:
        why, advice = _unstored(active)
        reasons = [why, *reasons]
        if len(active.unstored) >= len(active.missing) + active.lacking and not cancelled:
            return " ".join(reasons), advice
    unlisted = active.list.error
    if active.lacking or (unlisted is not None and (unlisted.transient or active.is_open)):
        reasons = [f"{why[:1].upper()}{why[1:]}." for why in active.list.why] + reasons
    if active.list.silent_series:
        count = counted(active.list.silent_series, "series", plural="series")
        reasons.append(f"The node lists no objects in {count}, so completeness cannot be proven.")
    if _is_absent(active) and not cancelled:
        return f"The node lists no such {active.item.request.level.lower()}.", "Check the UID and the node."
    if active.is_open:
        causes, cure = _causes(active, cancelled=cancelled)
        reasons, advice = [*reasons, *causes], advice or cure
    return " ".join(dict.fromkeys(reasons)), advice


def _causes(active: ActiveItem, *, cancelled: bool) -> tuple[list[str], str]:
    """Return why the tries failed, and what to do about it."""
    errors_of_tries = [error for error in (active.first_error, active.error) if error is not None]
    causes = [error.message for error in errors_of_tries]
    advice = _advice(errors_of_tries)
    if active.error is None and not cancelled:
        causes.append(_what_the_node_reported(active))
        advice = advice or "Retrieve again, or ask the PACS team for its log."
    if active.unreached is not None and not cancelled and may_be_unreached(active.error):
        causes.append(active.unreached.message)
        advice = _what_to_check(active.unreached, active.error)
    return causes, advice


def _advice(errors_of_tries: Sequence[errors.QrkitError]) -> str:
    """Return the advice of the first error, since the second may be a result of it, unless the node lacks the method.

    What has to be entered for an unknown destination is advised as well, whatever else failed.
    """
    of_use = [error for error in errors_of_tries if not _is_of_missing_method(error)] or list(errors_of_tries)
    statuses = {getattr(error, "status", None): error.advice for error in of_use[1:]}
    advice = [of_use[0].advice, statuses.get(MOVE_DESTINATION_UNKNOWN, "")] if of_use else []
    return " ".join(one for one in dict.fromkeys(advice) if one)


def _is_of_missing_method(error: errors.QrkitError) -> bool:
    """Whether the node lacks a retrieve method altogether."""
    status = error.status if isinstance(error, errors.StatusError) else None
    return isinstance(error, errors.NoContextAccepted) or status in (SOP_CLASS_NOT_SUPPORTED, UNRECOGNISED_OPERATION)


def _what_to_check(unreached: Unreached, error: errors.QrkitError | None) -> str:
    if isinstance(error, errors.NodeTimeout):  # the node may only need more time
        return f"{unreached.advice} {error.advice}"
    return unreached.advice


def _unstored(active: ActiveItem) -> tuple[str, str]:
    """Return why objects that the node sent could not be stored, and what to do: about the disk, or the objects."""
    why = "; ".join(dict.fromkeys(comment.rstrip(".") for comment in active.unstored.values()))
    if any(map(is_own_failure, active.unstored.values())):
        objects = counted(len(active.unstored), "received object")
        advice = "Free disk space or correct the folder, then retrieve again."
        return f"{objects} could not be stored here: {why}.", advice
    objects = counted(len(active.unstored), "object")
    return (
        f"{active.node} sent {objects} that cannot be stored: {why}.",
        "Ask the PACS team to correct these objects.",
    )


def _is_absent(active: ActiveItem) -> bool:
    """Whether the node answered the listing without the study or series, and no object arrived."""
    failed_for_now = active.error is not None and active.error.transient
    return active.list.is_absent and active.list.error is None and not active.received and not failed_for_now


def _note(active: ActiveItem) -> str:
    notes = []
    if active.refused:
        notes.append(f"Refused, as not requested: {counted(active.refused, 'object')}.")
    if active.elsewhere:
        notes.append(_elsewhere(active))
    if active.other_versions:
        notes.append(
            f"{counted(len(active.other_versions), 'object')} arrived with other bytes than the stored SOP Instance; "
            "both are kept, the later one with the start of a digest in its name."
        )
    return " ".join((*notes, *conversions(active)))


def _proof(active: ActiveItem) -> str:
    """Return what shows that all is there although the node could not list its objects; empty if it did."""
    if active.list.error is None:
        return ""
    why = active.list.short[0]
    by = "it counts in the study or series" if active.list.is_counted else "its sub-operations report"
    return f"{why[:1].upper()}{why[1:]}. As many objects are stored as {by}."


def _elsewhere(active: ActiveItem) -> str:
    """Return which objects belong to another study or series than the one by which they were requested."""
    request = active.item.request
    studies = sorted({study for study, _ in active.elsewhere.values()} - {request.StudyInstanceUID})
    keyword = "StudyInstanceUID" if studies else "SeriesInstanceUID"
    uids = studies or sorted({series for _, series in active.elsewhere.values()})
    named = ", ".join(uids[:_MOST_NAMED]) + (", …" if len(uids) > _MOST_NAMED else "")
    return (
        f"{counted(len(active.elsewhere), 'object')} arrived with another {keyword} than requested: {named}. "
        "Both UIDs find them."
    )


def _what_the_node_reported(active: ActiveItem) -> str:
    missing = len(active.missing) + active.lacking
    return reported(active.suboperations, missing=missing, is_any_stored=bool(active.stored))


def reported(suboperations: Suboperations, *, missing: int, is_any_stored: bool) -> str:
    """Return what a node reported at the end, against what is missing.

    What it counts as failed is no contradiction.

    >>> reported(Suboperations(status=0xB000, completed=2, failed=10), missing=10, is_any_stored=True)
    'The node ended with status 0xB000 (2 completed, 10 failed): 10 objects did not arrive.'
    >>> reported(Suboperations(status=0, completed=12, failed=0), missing=10, is_any_stored=True)
    'The node ended with status 0x0000 (12 completed, 0 failed), yet 10 objects did not arrive.'
    """
    lack = "some objects did not arrive" if is_any_stored else "nothing arrived"
    if missing:
        lack = f"{counted(missing, 'object')} did not arrive"
    failed = suboperations.failed or 0
    counters = (
        "no counters" if suboperations.completed is None else f"{suboperations.completed} completed, {failed} failed"
    )
    but = ":" if failed and failed >= missing else ", yet"
    return f"The node ended with status 0x{suboperations.status:04X} ({counters}){but} {lack}."


class Outcomes:
    """Writes the outcomes of items to the state: ended, or to be tried again; `now` returns the time of the state."""

    def __init__(
        self, under_way: RunningItems, worker_id: str, policy: RetryPolicy, now: Callable[[], datetime]
    ) -> None:
        self._under_way = under_way
        self._worker_id = worker_id
        self._policy = policy
        self._now = now

    def ended(self, item: ItemRow, outcome: ItemOutcome) -> None:
        """Write down an outcome; what failed for now waits for another try, if there is one left."""
        failures = failures_after(item.failures, item.outcome, outcome)
        postponement = self._postponement(self._policy, failures) if _is_worth_it(outcome) else None
        if postponement is not None:
            self._under_way.postpone(item.item_id, outcome, postponement, worker_id=self._worker_id)
        else:
            self._under_way.finish_item(item.item_id, outcome, worker_id=self._worker_id)
        logger.info(
            "Item %d of job %s: %s, %d of %s stored%s",
            item.position + 1,
            item.job_id,
            outcome.state.value,
            outcome.stored,
            "unknown" if outcome.expected is None else outcome.expected,
            f"; again at {postponement.not_before}" if postponement is not None else "",
        )

    def failed(self, items: Sequence[ItemRow], error: errors.QrkitError) -> None:
        """Write down that items have failed together; those that have an outcome keep it."""
        for item in items:
            outcome = ItemOutcome(
                state=JobState.FAILED, error=error.message, advice=error.advice, transient=error.transient
            )
            self.ended(item, outcome)

    def out_of_reach(
        self,
        job: JobRow,
        items: Sequence[ItemRow],
        error: errors.NodeError,
        *,
        others_under_way: Callable[[], bool],
    ) -> None:
        """Postpone a job whose node accepts no association, or end it.

        A node that has answered this job before is tried twice as often: it will probably return. The failure does
        not count if other batches of the job are or were under way at the node, which then had no association left.
        They are looked for after these items were given back: of batches that fail together, the last one counts.
        """
        failures = job.failures + 1
        most = self._policy.most * (2 if job.received else 1)
        if error.transient:
            number = max(job.failures, 1)
            pause = self._postponement(RetryPolicy(most=number, first=self._policy.first), number)
            if pause is not None:
                reason = f"{error.message} Try {number + 1} of {max(most, number) + 1} follows."
                self._postpone(job, items, replace(pause, failures=job.failures), reason)
            if others_under_way():
                return
        policy = RetryPolicy(most=most, first=self._policy.first)
        postponement = self._postponement(policy, failures) if error.transient else None
        if postponement is None:
            logger.warning("Job %s ends: %s", job.job_id, error)
            self._under_way.give_up(job.job_id, error=error.message, advice=error.advice)
            return
        self._postpone(job, items, postponement, f"{error.message} Try {failures + 1} of {most + 1} follows.")

    def _postpone(self, job: JobRow, items: Sequence[ItemRow], postponement: Postponement, reason: str) -> None:
        logger.warning("Job %s waits until %s: %s", job.job_id, postponement.not_before, reason)
        self._under_way.postpone_job(job.job_id, [item.item_id for item in items], postponement, reason=reason)

    def _postponement(self, policy: RetryPolicy, failures: int) -> Postponement | None:
        # chance keeps many items from coming back at once; it guards no secret
        at = policy.next_try(failures, now=self._now(), luck=random.random())  # noqa: S311
        return None if at is None else Postponement(not_before=as_text(at), failures=failures)


def _is_worth_it(outcome: ItemOutcome) -> bool:
    return outcome.transient and outcome.state in (JobState.PARTIAL, JobState.FAILED)
