"""The worker's part, played by a test: the rows are real, and nothing is sent."""

from pathlib import Path

from qrkit.access import Access
from qrkit.jobs import ItemOutcome, ItemRow, JobState, NewJob, RetrieveRequest
from qrkit.settings import Settings
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.tables import Level
from qrkit.workspace.jobs import Job
from qrkit.workspace.services import Permissions, Services

STUDIES = tuple(RetrieveRequest(level=Level.STUDY, StudyInstanceUID=f"1.2.{number}") for number in (1, 2))
DONE = ItemOutcome(state=JobState.COMPLETE, expected=10, stored=10, received=10, bytes=5_000_000)


class NoWorker(Services):
    """The services of a workspace for which no worker starts."""

    def __init__(self, state: State) -> None:
        folder = Path("workspace")
        super().__init__(
            Settings(workspace=folder, files=folder / "files"), state, Permissions(Access.unlimited("unknown"))
        )

    def ensure_worker(self) -> bool:
        return False


class PlayedJob:
    """A queued job, and what its worker would write."""

    def __init__(self, state: State) -> None:
        self.table = JobTable(state)
        self.queue, self.under_way = JobQueue(state), RunningItems(state)
        self.services = NoWorker(state)
        self.job = Job(self.table.create(NewJob(node="pacs", requests=STUDIES)), self.services)

    def claim(self) -> ItemRow:
        """Have the next item run."""
        (item,) = self.queue.claim_share("worker", {"pacs": 1}, most=1)
        return item

    def get_on(self, item: ItemRow, *, stored: int) -> None:
        """Have so many objects of twenty come, of 200 kB each."""
        told = ItemOutcome(state=JobState.RUNNING, expected=20, stored=stored, bytes=stored * 200_000)
        self.under_way.progress(item.item_id, told)

    def finish(self, outcome: ItemOutcome = DONE) -> None:
        """Have the next item run, and end."""
        self.under_way.finish_item(self.claim().item_id, outcome)
