"""The retrieve of claimed items as one batch; its outcome is written down whatever happens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qrkit import errors
from qrkit.find.object_lister import ObjectLister
from qrkit.jobs import ItemRow, JobRow, JobState
from qrkit.node import Node
from qrkit.profile import Profile
from qrkit.retrieve.arrivals import Arrivals
from qrkit.retrieve.batch import Batch, BatchSource
from qrkit.retrieve.destinations import Destination, StoreNodeDestination, WorkspaceDestination
from qrkit.retrieve.identifiers import is_out_of_reach
from qrkit.retrieve.outcomes import Outcomes
from qrkit.retrieve.reachability import our_target
from qrkit.retrieve.stored import StoredInstances
from qrkit.retrieve.watcher import Watch, Watcher
from qrkit.settings import Settings
from qrkit.store.instances import InstanceTable
from qrkit.store.job_progress import LateObjects, RunningItems
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable, ProfileTable
from qrkit.store.state import State
from qrkit.worker.disk_space import DiskSpace
from qrkit.worker.dispatcher import ClosedNodes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchServices:
    """The services that all batches of a worker use."""

    worker_id: str
    settings: Settings
    arrivals: Arrivals
    disk_space: DiskSpace
    closed_nodes: ClosedNodes
    outcomes: Outcomes
    ending: threading.Event  # set when the worker ends


class Fetcher:
    """Retrieves the items that a worker has claimed."""

    def __init__(self, state: State, services: FetchServices) -> None:
        self.scp_error: errors.QrkitError | None = None  # error of the Storage SCP; None if it listens
        self.scp_connections: Callable[[], int] = lambda: 0  # how many the Storage SCP has accepted
        self.scp_port = 0  # on which the Storage SCP listens; 0: it does not
        self._services = services
        self._jobs = JobTable(state)
        self._under_way = RunningItems(state)
        self._nodes = NodeTable(state)
        self._profiles = ProfileTable(state)
        self._instances = InstanceTable(state)
        self._late = LateObjects(state)
        self._watchers: set[Watcher] = set()

    def silent_checks(self) -> int:
        """Return the number of calls in a row since one of the batches last gave a sign of life; 0: all are alive."""
        watchers = list(self._watchers)
        for watcher in watchers:
            watcher.unheard += 1
        return max((watcher.unheard - 1 for watcher in watchers), default=0)

    def fetch(self, job: JobRow, items: Sequence[ItemRow]) -> None:
        """Retrieve some items of a job; their failures are written down, not raised."""
        watcher = self._watcher(job)
        self._watchers.add(watcher)
        try:
            self._fetch(job, items, watcher)
        finally:
            self._watchers.discard(watcher)

    def _fetch(self, job: JobRow, items: Sequence[ItemRow], watcher: Watcher) -> None:
        batch: Batch | None = None
        try:
            if not self._services.disk_space.has_space_for(job):
                return
            batch = self._batch(job, watcher)
            self._run(batch, items, job, watcher)
        except errors.StoreError:  # unfinished items are queued again once the state can be used
            logger.exception("A batch of job %s ended early", job.job_id)
        except errors.QrkitError as error:
            self._failed(job, batch.undone if batch is not None else items, error)
        except Exception as error:  # the worker must survive every error of a batch
            logger.exception("Job %s failed by an error of ours", job.job_id)
            ours = errors.QrkitError(f"An error inside qrkit, {type(error).__name__}; the worker's log has more.")
            self._failed(job, batch.undone if batch is not None else items, ours)

    def _run(self, batch: Batch, items: Sequence[ItemRow], job: JobRow, watcher: Watcher) -> None:
        try:
            batch.run(items)
        except errors.Cancelled:
            if watcher.is_cancelled:
                self._services.arrivals.drain()
                batch.end(cancelled=True)
            elif watcher.has_no_room:
                self._services.disk_space.pause(job.job_id)

    def _watcher(self, job: JobRow) -> Watcher:
        return Watcher(
            self._under_way,
            job.job_id,
            self._services.ending,
            node_is_closed=lambda: self._services.closed_nodes.includes(job.node),
            has_no_room=self._services.disk_space.is_exhausted if not job.destination else lambda: False,
            worker_id=self._services.worker_id,
        )

    def _failed(self, job: JobRow, items: Sequence[ItemRow], error: errors.QrkitError) -> None:
        outcomes = self._services.outcomes
        if isinstance(error, errors.NodeError) and is_out_of_reach(error):
            now = self._jobs.get_summary(job.job_id)
            has_progress = now.received > job.received
            outcomes.out_of_reach(
                now, items, error, others_under_way=lambda: has_progress or self._has_items_under_way(job.job_id)
            )
        else:
            outcomes.failed(items, error)

    def _has_items_under_way(self, job_id: str) -> bool:
        return any(item.outcome.state is JobState.RUNNING for item in self._jobs.get(job_id).items)

    def _batch(self, job: JobRow, watcher: Watcher) -> Batch:
        node = self._nodes.get(job.node)
        if not node.enabled:
            raise errors.InputError(f"Node {node.name} is disabled.", advice="Enable it, then retry the job.")
        watch = Watch(
            on_progress=watcher.progress,
            on_done=self._services.outcomes.ended,
            stop=watcher.stop,
            should_yield=watcher.should_yield,
            on_late=lambda item, uids, size: self._late.count(item.item_id, uids, size=size),
        )
        source = BatchSource(
            node=node,
            method=job.method,
            calling_ae_title=self._services.settings.ae_title,
            list_objects=self._lister(node, watcher).list_objects,
            one_request=lambda: self._profile(node).habits.one_request,
        )
        return Batch(source, self._destination(job, node, watcher), self._services.arrivals.active, watch)

    def _profile(self, node: Node) -> Profile:
        return self._profiles.get(node.name) or Profile.unknown(node.name)

    def _lister(self, node: Node, watcher: Watcher) -> ObjectLister:
        return ObjectLister(
            node,
            self._profile(node),
            calling_ae_title=self._services.settings.ae_title,
            stop=watcher.stop,
            learn=lambda find: find.teach(self._profiles, user=f"worker {self._services.worker_id}"),
        )

    def _destination(self, job: JobRow, node: Node, watcher: Watcher) -> Destination:
        settings = self._services.settings
        if job.destination:
            target = self._nodes.get(job.destination)
            return StoreNodeDestination(target, self._lister(target, watcher).list_objects)
        return WorkspaceDestination(
            self._services.arrivals,
            node,
            our_target(node.move_destination or settings.ae_title, settings.host, self.scp_port),
            stored=StoredInstances(self._instances, settings.files),
            scp_error=lambda: self.scp_error,
            connections=self.scp_connections,
        )
