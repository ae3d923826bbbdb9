"""Retrieve jobs and handler runs as values: requests, outcomes, states and the transitions between them."""

from __future__ import annotations

from qrkit.jobs.job import (
    ItemOutcome,
    ItemRow,
    JobRow,
    JobState,
    NewJob,
    PausedBy,
    RetrieveRequest,
    item_to_json,
    job_to_json,
    lack_of_room,
    state_in_words,
    still_to_come,
    without_overlap,
)
from qrkit.jobs.states import Change, RetryPolicy, allows, failures_after, is_news, job_state, outcome, sources

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
    "item_to_json",
    "job_state",
    "job_to_json",
    "lack_of_room",
    "outcome",
    "sources",
    "state_in_words",
    "still_to_come",
    "without_overlap",
]
