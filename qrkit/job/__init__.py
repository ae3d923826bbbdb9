"""Retrieve jobs as values: what is to be fetched, what became of it, and what may happen to it next."""

from qrkit.job.moves import Change, allows, is_news, job_state, outcome, sources
from qrkit.job.retries import RetryPolicy, failures_after
from qrkit.job.space import lack_of_room, still_to_come
from qrkit.job.told import job_to_json
from qrkit.job.value import ItemOutcome, ItemRow, JobRow, JobState, NewJob, PausedBy, RetrieveRequest

__all__ = [
    "Change",
    "ItemOutcome",
    "ItemRow",
    "JobRow",
    "JobState",
    "NewJob",
    "PausedBy",
    "RetrieveRequest",
    "RetryPolicy",
    "allows",
    "failures_after",
    "is_news",
    "job_state",
    "job_to_json",
    "lack_of_room",
    "outcome",
    "sources",
    "still_to_come",
]
