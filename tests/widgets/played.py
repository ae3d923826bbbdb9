"""The worker's part, played by a test: the rows are real, and nothing is sent."""

from qrkit.job import ItemOutcome, ItemRow, JobState, NewJob, RetrieveRequest
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.workspace.job import Job

STUDIES = tuple(RetrieveRequest(level="STUDY", StudyInstanceUID=f"1.2.{number}") for number in (1, 2))
DONE = ItemOutcome(state=JobState.COMPLETE, expected=10, stored=10, received=10, bytes=5_000_000)


class PlayedJob:
    """A queued job, and what its worker would write."""

    def __init__(self, state: State) -> None:
        self.table = JobTable(state)
        self.job = Job(self.table.create(NewJob(node="pacs", requests=STUDIES)), self.table, lambda: None)

    def claim(self) -> ItemRow:
        """Have the next item run."""
        item = self.table.claim("worker", job_id=self.job.job_id)
        assert item is not None
        return item

    def finish(self, outcome: ItemOutcome = DONE) -> None:
        """Have the next item run, and end."""
        self.table.finish_item(self.claim().item_id, outcome)
