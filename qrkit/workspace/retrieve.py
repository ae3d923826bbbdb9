"""From what somebody wants to fetch to a job: whom to ask, by which requests and method, and what it will take.

What a retrieve may be asked for: tables of answers, UIDs, a query's id; always as requests in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from qrkit.dose import Plan, site_budget
from qrkit.errors import InputError
from qrkit.handlers import Handler, chosen
from qrkit.jobs import NewJob, RetrieveRequest
from qrkit.node import InformationModel, Method, Node, check_can_retrieve
from qrkit.settings import Settings
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.queries import QueryTable
from qrkit.store.state import State
from qrkit.worker.disk_space import DiskSpace
from qrkit.workspace.estimates import bytes_to_come
from qrkit.workspace.permissions import Acts

_LEVELS = (("SOPInstanceUID", "IMAGE"), ("SeriesInstanceUID", "SERIES"), ("StudyInstanceUID", "STUDY"))


def requests_from_frame(frame: pd.DataFrame, *, with_patients: bool) -> tuple[RetrieveRequest, ...]:
    """Return one request per study or series of a table; images are asked for series by series.

    Parameters
    ----------
    with_patients
        Whether requests name their patient, as Patient Root wants it; under Study Root a study is asked for once,
        even where two patients share it.

    Raises
    ------
    InputError
        If the table has no UIDs, or lacks those above.
    """
    level = next((level for keyword, level in _LEVELS if keyword in frame.columns), "")
    if not level:
        raise InputError("The table has no StudyInstanceUID; give the rows of a find.")
    needed = [keyword for keyword, of in reversed(_LEVELS) if keyword in frame.columns]
    lacking = [
        keyword for keyword in ("StudyInstanceUID", "SeriesInstanceUID")[: _depth(level)] if keyword not in needed
    ]
    if lacking:
        raise InputError(f"The table lacks {', '.join(lacking)}, which a {level} retrieve needs.")
    chosen = frame if with_patients else frame.drop(columns="PatientID", errors="ignore")
    rows = chosen.astype("object").where(chosen.notna(), "").to_dict("records")
    if level == "IMAGE":
        return _image_requests(rows)
    return tuple(
        dict.fromkeys(
            RetrieveRequest(
                level=level,
                StudyInstanceUID=str(row["StudyInstanceUID"]),
                SeriesInstanceUID=str(row.get("SeriesInstanceUID", "")),
                patient_id=str(row.get("PatientID", "")),
            )
            for row in rows
        )
    )


def requests_from_uids(
    study_uids: Iterable[str], series_uids: Sequence[str], known: pd.DataFrame
) -> tuple[RetrieveRequest, ...]:
    """Return requests for studies, or for series, given by UID.

    Parameters
    ----------
    known
        Rows with StudyInstanceUID, PatientID and, for series, SeriesInstanceUID of earlier answers: a PACS wants
        the keys above, which people seldom have at hand.

    Raises
    ------
    InputError
        If the study of a series is neither given nor known.
    """
    studies = tuple(dict.fromkeys(study_uids))
    rows = known.astype("object").where(known.notna(), "").to_dict("records")
    patients = {str(row["StudyInstanceUID"]): str(row["PatientID"]) for row in rows}
    if not series_uids:
        return tuple(
            RetrieveRequest(level="STUDY", StudyInstanceUID=uid, patient_id=patients.get(uid, "")) for uid in studies
        )
    study_of = {str(row.get("SeriesInstanceUID", "")): str(row["StudyInstanceUID"]) for row in rows}
    requests = []
    for uid in dict.fromkeys(series_uids):
        study = study_of.get(uid) or (studies[0] if len(studies) == 1 else "")
        if not study:
            raise InputError(
                f"The study of series {uid} is not known.", advice="Give its StudyInstanceUID too, or find it first."
            )
        requests.append(
            RetrieveRequest(
                level="SERIES", StudyInstanceUID=study, SeriesInstanceUID=uid, patient_id=patients.get(study, "")
            )
        )
    return tuple(requests)


def _image_requests(rows: Sequence[dict[object, object]]) -> tuple[RetrieveRequest, ...]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        series = (str(row["StudyInstanceUID"]), str(row["SeriesInstanceUID"]), str(row.get("PatientID", "")))
        groups.setdefault(series, []).append(str(row["SOPInstanceUID"]))
    return tuple(
        RetrieveRequest(
            level="IMAGE",
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            sop_instance_uids=tuple(dict.fromkeys(uids)),
            patient_id=patient,
        )
        for (study, series, patient), uids in groups.items()
    )


def _depth(level: str) -> int:
    return {"STUDY": 1, "SERIES": 2, "IMAGE": 2}[level]


Sql = Callable[[str, Mapping[str, object]], pd.DataFrame]
"""Returns what a SELECT gives; `Workspace.sql` is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How something is to be fetched, as `Workspace.retrieve` takes it; what is not given is empty or None."""

    node: str = ""
    method: str = "auto"
    to: str = ""
    source: str = ""
    after: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is to be fetched from whom, and the rows that tell how much it is."""

    node: Node
    source: str
    requests: Sequence[RetrieveRequest]
    known: pd.DataFrame | Plan | None


class Retriever:
    """Makes jobs.

    Parameters
    ----------
    handlers
        Those of the site, by which a job names what runs after arrival.
    sql
        Asks the tables of the workspace.
    why
        Tells what plans know of a UID.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        *,
        handlers: Sequence[Handler],
        acts: Acts,
        sql: Sql,
        why: Callable[[str], pd.DataFrame],
    ) -> None:
        self._settings = settings
        self._state = state
        self._nodes = NodeTable(state)
        self._jobs = JobTable(state)
        self._handlers = handlers
        self._acts = acts
        self._queries = QueryTable(state)
        self._sql = sql
        self._why = why

    def queue(self, what: pd.DataFrame | Plan | Sequence[RetrieveRequest], order: Order) -> str:
        """Queue a job, and return its id; errors as `Workspace.retrieve`, but for the role."""
        wanted = self._wanted(what, order)
        to = order.to
        method = _method(order.method, wanted.node, self._nodes.get(to) if to else None)
        check_can_retrieve(wanted.node, method)
        estimated = None if to else self._bytes_to_come(wanted)
        job_id = self._jobs.create(
            NewJob(
                node=wanted.node.name,
                requests=tuple(wanted.requests),
                method=method,
                destination=to,
                user=self._acts.access.user,
                source=wanted.source,
                after=self._after(order.after, to),
                estimated_bytes=estimated,
                lack_of_room=self._lack_of_room(wanted.node, estimated or 0),
            )
        )
        details = {"node": wanted.node.name, "requests": len(wanted.requests), "to": to}
        self._acts.write("job queued", job_id, details)
        return job_id

    def _lack_of_room(self, node: Node, to_come: int) -> str:
        """Return why a new job rests; nothing where a worker of another site, with its own disk, will fetch it."""
        if not node.is_reached_from(self._settings.site):
            return ""
        return DiskSpace.of(self._settings, self._state).lack(to_come)

    def known(self, study_uids: Sequence[str], series_uids: Sequence[str]) -> pd.DataFrame:
        """Return what answers, plans and objects tell of studies and series: the keys above that a PACS wants."""
        if series_uids:
            answered = self._sql(
                "SELECT SeriesInstanceUID, StudyInstanceUID, PatientID, NumberOfSeriesRelatedInstances, Modality "
                "FROM series WHERE list_contains($uids, SeriesInstanceUID) UNION ALL BY NAME "
                "SELECT DISTINCT SeriesInstanceUID, StudyInstanceUID, PatientID, Modality FROM instances "
                "WHERE list_contains($uids, SeriesInstanceUID) "
                "AND SeriesInstanceUID NOT IN (SELECT SeriesInstanceUID FROM series)",
                {"uids": list(series_uids)},
            )
            unknown = set(series_uids) - set(answered["SeriesInstanceUID"])
            planned = [self._why(uid)[["SeriesInstanceUID", "StudyInstanceUID"]] for uid in sorted(unknown)]
            return pd.concat([answered, *planned], ignore_index=True)
        return self._sql(
            "SELECT StudyInstanceUID, PatientID, NumberOfStudyRelatedInstances, ModalitiesInStudy FROM studies "
            "WHERE list_contains($uids, StudyInstanceUID)",
            {"uids": list(study_uids)},
        )

    def _wanted(self, what: pd.DataFrame | Plan | Sequence[RetrieveRequest], order: Order) -> _Wanted:
        source, name = order.source, order.node
        if isinstance(what, pd.DataFrame):
            source = source or str(what.attrs.get("qrkit", {}).get("query_id", ""))
            name = name or (self._queries.get(source).node if source else "")
        if isinstance(what, Plan):
            check_budget(self._settings, what)
            source, name = source or what.plan_id, name or what.node
        if not name:
            raise InputError('Say which node to retrieve from: node="…".')
        node = self._nodes.get(name)
        if isinstance(what, Plan):
            return _Wanted(node=node, source=source, requests=what.requests(), known=what)
        if isinstance(what, pd.DataFrame):
            with_patients = node.information_model is not InformationModel.STUDY_ROOT
            requests = requests_from_frame(what, with_patients=with_patients)
            return _Wanted(node=node, source=source, requests=requests, known=what)
        return _Wanted(node=node, source=source, requests=what, known=None)

    def _after(self, names: Sequence[str] | None, to: str) -> tuple[str, ...] | None:
        if names is None:
            return None
        if to and names:
            raise InputError("What goes to a store node does not arrive here, so nothing can be done with it after.")
        return tuple(handler.name for handler in chosen(self._handlers, names))

    def _bytes_to_come(self, wanted: _Wanted) -> int | None:
        """Return how many bytes requests will bring; what they were made of, or earlier answers, tell how many."""
        known = wanted.known
        if known is None:
            levels = {request.level for request in wanted.requests}
            series = [request.SeriesInstanceUID for request in wanted.requests]
            studies = [request.StudyInstanceUID for request in wanted.requests]
            if levels in ({"SERIES"}, {"STUDY"}):
                known = self.known(studies, series if levels == {"SERIES"} else ())
        return None if known is None else bytes_to_come(self._state, wanted.node.name, known, wanted.requests)


def check_budget(settings: Settings, plan: Plan) -> None:
    """Refuse a plan that passes the budget of the site, unless it is meant.

    Raises
    ------
    InputError
        With the numbers.
    """
    if not plan.is_meant:
        site_budget(settings.tables.get("plan", {})).check(plan.cost)


def _method(method: str, node: Node, destination: Node | None) -> Method:
    try:
        asked = Method(method)
    except ValueError as error:
        raise InputError(f"The method is auto, get or move, not {method!r}.") from error
    if destination is None:
        return asked
    if asked is Method.GET or not node.can_move:
        raise InputError(f"To deliver to {destination.name}, node {node.name} must be asked by C-MOVE.")
    if not destination.can_store:
        raise InputError(
            f"Node {destination.name} takes no objects.",
            advice=f"If that is not so: qrkit nodes edit {destination.name} --can-store.",
        )
    return Method.MOVE
