"""What the state is told of items that have ended, and which of them are tried again."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from datetime import datetime

from qrkit import errors
from qrkit.jobs import ItemOutcome, ItemRow, JobRow, JobState, RetryPolicy, failures_after
from qrkit.store.job_progress import JobProgress, Postponement
from qrkit.store.state import as_text

logger = logging.getLogger(__name__)


class Verdicts:
    """Writes down what became of items: ended, or to be tried again.

    Parameters
    ----------
    now
        Gives the time of the state.
    """

    def __init__(
        self, under_way: JobProgress, worker_id: str, policy: RetryPolicy, now: Callable[[], datetime]
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
        self, job: JobRow, items: Sequence[ItemRow], error: errors.NodeError, *, others_under_way: bool
    ) -> None:
        """Let a job wait whose node cannot be associated with, or end it.

        A node that has answered this job before is tried twice as often: it will come back.

        Parameters
        ----------
        others_under_way
            Whether the node serves another batch of the job at this moment, as one does that is out of associations:
            then it is there, and the failure does not count.
        """
        failures = max(job.failures + (0 if others_under_way else 1), 1)
        most = self._policy.most * (2 if job.received else 1)
        policy = RetryPolicy(most=most, first=self._policy.first)
        postponement = self._postponement(policy, failures) if error.transient else None
        if postponement is None:
            logger.warning("Job %s ends: %s", job.job_id, error)
            self._under_way.give_up(job.job_id, error=error.message, advice=error.advice)
            return
        logger.warning("Job %s waits until %s: %s", job.job_id, postponement.not_before, error)
        reason = f"{error.message} Try {failures + 1} of {most + 1} follows."
        self._under_way.postpone_job(job.job_id, [item.item_id for item in items], postponement, reason=reason)

    def _postponement(self, policy: RetryPolicy, failures: int) -> Postponement | None:
        # chance keeps many items from coming back at once; it guards no secret
        at = policy.next_try(failures, now=self._now(), luck=random.random())  # noqa: S311
        return None if at is None else Postponement(not_before=as_text(at), failures=failures)


def _is_worth_it(outcome: ItemOutcome) -> bool:
    return outcome.transient and outcome.state in (JobState.PARTIAL, JobState.FAILED)
