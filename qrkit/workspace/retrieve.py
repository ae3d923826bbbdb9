"""From what people give to retrieve, to a queued job: which requests, from which node, by which method.

A table of UIDs, a column or list of them, a plan and requests all become requests here, and only here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from qrkit.advice import Action, Advice
from qrkit.dose import Plan, site_budget
from qrkit.errors import InputError, NotFound
from qrkit.handlers import chosen
from qrkit.jobs import NewJob, RetrieveRequest, without_overlap
from qrkit.node import InformationModel, Method, Node, check_can_retrieve
from qrkit.query import Coverage
from qrkit.query.dates import is_missing
from qrkit.query.matching import as_list
from qrkit.settings import Settings
from qrkit.tables import Level, unique_key
from qrkit.words import comma_list, counted, nearest, shown
from qrkit.worker.disk_space import DiskSpace
from qrkit.workspace.estimates import bytes_to_come, has_counts
from qrkit.workspace.plans import Reasons
from qrkit.workspace.services import Services

Retrievable = pd.DataFrame | pd.Series | Plan | str | Sequence[str] | Sequence[RetrieveRequest]
"""The argument of a retrieve: a table with UIDs, a column, text or list of UIDs, a plan, or requests."""

_LEVELS = (Level.STUDY, Level.SERIES, Level.IMAGE)
_UIDS = tuple(unique_key(level) for level in _LEVELS)
_MOST_SHOWN = 5

_ABOVE = {
    Level.SERIES: (
        "SELECT SeriesInstanceUID, StudyInstanceUID FROM series WHERE list_contains($uids, SeriesInstanceUID) UNION "
        "SELECT SeriesInstanceUID, StudyInstanceUID FROM instances WHERE list_contains($uids, SeriesInstanceUID)"
    ),
    Level.IMAGE: (
        "SELECT SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID FROM images "
        "WHERE list_contains($uids, SOPInstanceUID) UNION "
        "SELECT SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID FROM instances "
        "WHERE list_contains($uids, SOPInstanceUID)"
    ),
}
"""By level: the UIDs above, by results and received objects."""

_COUNTED = {
    Level.STUDY: (
        "SELECT StudyInstanceUID, PatientID, NumberOfStudyRelatedInstances, ModalitiesInStudy FROM studies "
        "WHERE list_contains($uids, StudyInstanceUID)"
    ),
    Level.SERIES: (
        "SELECT SeriesInstanceUID, StudyInstanceUID, PatientID, NumberOfSeriesRelatedInstances, Modality FROM series "
        "WHERE list_contains($uids, SeriesInstanceUID)"
    ),
}
"""By level: the patient and the size of some studies or series, by results."""


def uid_table(what: pd.DataFrame | pd.Series | str | Iterable[object]) -> pd.DataFrame:
    """Return a table with the UIDs as columns, for a table, a column, a list or a text of UIDs.

    UIDs in the index of a table become columns. Where nothing says what a list is of, the column is named ``""``.

    Raise `InputError` if it is none of these.

    >>> uid_table(pd.Series(["1.2"], name="SeriesInstanceUID")).to_dict("list"), uid_table("1.2, 1.3").to_dict("list")
    ({'SeriesInstanceUID': ['1.2']}, {'': ['1.2', '1.3']})
    """
    if isinstance(what, pd.DataFrame):
        twin = next((name for name in _UIDS if sum(column == name for column in map(str, what.columns)) > 1), None)
        if twin is not None:
            raise InputError(f"The table has more than one column {twin}.", advice="Remove or rename one.")
        inside = [name for name in what.index.names if name in _UIDS and name not in what.columns]
        return what.reset_index(level=inside) if inside else what
    uids = comma_list(what) if isinstance(what, str) else as_list(what)
    if uids is None or not all(isinstance(uid, str) or is_missing(uid) for uid in uids):
        raise InputError(
            "There are no UIDs to retrieve.",
            advice="Give a table with UIDs, a column or list of UIDs, a plan, or requests.",
        )
    name = getattr(what, "name", None)
    return pd.DataFrame({name if name in _UIDS else "": pd.Series(uids, dtype="object")})


def level_of(table: pd.DataFrame) -> Level:
    """Return the level that a table selects, that of the lowest UID among its columns; `InputError` without one."""
    level = next((level for level in reversed(_LEVELS) if unique_key(level) in table.columns), None)
    if level is None:
        near = nearest("StudyInstanceUID", [str(name) for name in table.columns], cutoff=0.75)
        advice = (
            f"Rename its column {shown(near)}." if near else "Give rows with StudyInstanceUID, as find returns them."
        )
        raise InputError("The table has no StudyInstanceUID.", advice=advice)
    return level


def requests_from_table(table: pd.DataFrame, *, with_patients: bool) -> tuple[RetrieveRequest, ...]:
    """Return one request for each study or series of a table; the images of a series are one request.

    With SeriesInstanceUID the rows of the table are series, with SOPInstanceUID images. Requests name their patient
    only where Patient Root requires it: under Study Root a study is requested once, even if two patients share it.
    Raise `InputError` if the table has no UIDs, lacks those of the levels above, or has rows without one.
    """
    level = level_of(table)
    needed = [unique_key(above) for above in _LEVELS[: _LEVELS.index(level) + 1]]
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        raise InputError(f"The table lacks {', '.join(lacking)}, which a {level.value} retrieve needs.")
    _check_blank(table, needed)
    columns = [_texts(table, name) for name in needed]
    patients = _texts(table, "PatientID") if with_patients and "PatientID" in table.columns else [""] * len(table)
    images: dict[tuple[str, ...], list[str]] = {}
    for patient, *uids in zip(patients, *columns, strict=True):
        images.setdefault((patient, *uids[:2]), []).extend(uids[2:])
    return tuple(
        RetrieveRequest(
            level=level,
            StudyInstanceUID=study,
            SeriesInstanceUID="".join(series),
            sop_instance_uids=tuple(dict.fromkeys(uids)),
            patient_id=patient,
        )
        for (patient, study, *series), uids in images.items()
    )


def _check_blank(table: pd.DataFrame, needed: Sequence[str]) -> None:
    """Refuse rows without a UID: left out they would be missed, and their whole study is more than was chosen."""
    for name in needed:
        blank = [row for row, value in enumerate(table[name]) if is_missing(value) or not str(value).strip()]
        if blank:
            rows = ", ".join(map(str, blank[:_MOST_SHOWN])) + (", …" if len(blank) > _MOST_SHOWN else "")
            have = "has" if len(blank) == 1 else "have"
            raise InputError(
                f"{len(blank):,} of {counted(len(table), 'row')} {have} no {name} (by position: {rows}).",
                advice=f'Remove them: frame[frame["{name}"].fillna("").str.strip() != ""].',
            )


def rows_with_uids(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of a result that can be retrieved, and a doubt for the others.

    A node may return rows without a UID. Those are not retrieved, and do not keep the others from it. Where no row
    has one, all are returned, which is an error later.
    """
    columns = [name for name in _UIDS if name in table.columns]
    named = [all(texts) for texts in zip(*(_texts(table, name) for name in columns), strict=True)]
    without = named.count(False)
    if not 0 < without < len(table):
        return table, ()
    return table[named], (f"{without:,} of {counted(len(table), 'row')} without a UID cannot be retrieved",)


def _texts(table: pd.DataFrame, name: str) -> list[str]:
    return ["" if is_missing(value) else _text(value, name) for value in table[name]]


def _text(value: object, name: str) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas reads a column of numbers with gaps as floats
    if name in _UIDS and not isinstance(value, str):
        raise InputError(f"{name} has {shown(value)}, which is not text.", advice="Read the table with dtype=str.")
    return str(value).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveOptions:
    """How a retrieve is done, as `Workspace.retrieve` takes it; what is not given is empty or None."""

    node: str = ""
    method: str = "auto"
    to: str = ""
    source: str = ""
    after: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Retrieve:
    """The requests to one node, and the rows or plan with their counts."""

    node: Node
    source: str
    requests: Sequence[RetrieveRequest]
    known: pd.DataFrame | Plan | None
    doubts: tuple[str, ...] = ()


class Retriever:
    """Makes jobs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._state = services.state

    def queue(self, what: Retrievable, options: RetrieveOptions) -> str:
        """Queue a job, and return its id; errors as `Workspace.retrieve`, except for the role."""
        chosen_node = self._chosen(what, options)
        to = options.to
        node = chosen_node.node
        method = _method(options.method, node, self._services.nodes.get(to) if to else None)
        check_can_retrieve(node, method)
        estimated = None if to else self._bytes_to_come(chosen_node)
        job_id = self._services.jobs.create(
            NewJob(
                node=node.name,
                requests=without_overlap(chosen_node.requests),
                method=method,
                destination=to,
                user=self._services.user,
                source=chosen_node.source,
                doubts=(
                    *(chosen_node.doubts or self._doubts_of_source(options.source)),
                    *self._elsewhere(what, chosen_node.source, node.name),
                ),
                after=self._handlers(options.after, to),
                estimated_bytes=estimated,
                lack_of_room=self._lack_of_room(node, estimated or 0),
            )
        )
        details = {"node": node.name, "requests": len(chosen_node.requests), "to": to}
        self._services.permissions.write("job queued", job_id, details)
        return job_id

    def _chosen(self, what: Retrievable, options: RetrieveOptions) -> _Retrieve:
        if isinstance(what, Plan):
            check_budget(self._settings, what)
            node = self._node(options.node or what.node)
            source = options.source or what.plan_id
            requests = what.requests()
            return _Retrieve(node=node, source=source, requests=requests, known=what, doubts=doubts_of(what))
        if isinstance(what, (list, tuple)) and all(isinstance(item, RetrieveRequest) for item in what):
            return _Retrieve(node=self._node(options.node), source=options.source, requests=what, known=None)
        table = uid_table(what)
        source = options.source or str(table.attrs.get("qrkit", {}).get("query_id", ""))
        asked = options.node or (self._services.queries.get(source).node if source else "")
        node = self._node(asked)
        with_patients = node.information_model is not InformationModel.STUDY_ROOT
        rows, unnamed = rows_with_uids(table) if source else (table, ())
        whole = self._with_keys_above(rows, with_patients=with_patients)
        requests = requests_from_table(whole, with_patients=with_patients)
        known = whole if has_counts(whole) else None
        doubts = (*(doubts_of(table) or self._doubts_of_source(options.source)), *unnamed)
        return _Retrieve(node=node, source=source, requests=requests, known=known, doubts=doubts)

    def _elsewhere(self, what: Retrievable, source: str, node: str) -> tuple[str, ...]:
        """Return the doubt about a retrieve from another node than the one that its plan or query is of."""
        kind, name = ("plan", what.node) if isinstance(what, Plan) else self._origin(source)
        if name in ("", node):
            return ()
        return (f"{kind} {source} is of node {name}, and the objects are requested from node {node}",)

    def _origin(self, source: str) -> tuple[str, str]:
        """Return what a source is, a query or a plan, and the name of its node; empty if it is not known here."""
        if source:
            with suppress(NotFound):
                return "query", self._services.queries.get(source).node
            with suppress(NotFound):
                return "plan", self._services.plans.get(source).node
        return "", ""

    def _doubts_of_source(self, source: str) -> tuple[str, ...]:
        """Return why the query or plan of a job may be incomplete, if the user has given its id."""
        if not source:
            return ()
        with suppress(NotFound):
            return _doubts("query", source, self._services.queries.get(source).coverage or Coverage())
        with suppress(NotFound):
            return _doubts("plan", source, Coverage.from_json(self._services.plans.get(source).coverage))
        return ()

    def _node(self, name: str) -> Node:
        if not name:
            raise InputError('No node is given to retrieve from: use node="…".')
        return self._services.nodes.get(name)

    def _with_keys_above(self, table: pd.DataFrame, *, with_patients: bool) -> pd.DataFrame:
        """Return a table with the columns that a request needs and that earlier results know."""
        if "" in table.columns and not set(_UIDS) & set(table.columns):
            table = table.rename(columns={"": self._kind_of(table[""].tolist())})
        level = level_of(table)
        lowest = unique_key(level)
        lacking = [name for name in _UIDS[: _LEVELS.index(level)] if name not in table.columns]
        if lacking:
            _check_blank(table, [lowest])
            above = self._above(level, _texts(table, lowest))
            table = table.assign(**{name: [above[uid][name] for uid in _texts(table, lowest)] for name in lacking})
        if with_patients and "PatientID" not in table.columns:
            studies = _texts(table, "StudyInstanceUID")
            known = self._services.sql(_COUNTED[Level.STUDY], {"uids": studies})
            patient_of = dict(zip(known["StudyInstanceUID"], known["PatientID"], strict=True))
            table = table.assign(PatientID=[str(patient_of.get(uid) or "") for uid in studies])
        return table

    def _kind_of(self, uids: Sequence[object]) -> str:
        """Return what a list of UIDs is of: series or images where the workspace knows all as such, else studies."""
        given = {uid for uid in uids if isinstance(uid, str)}
        for level in (Level.SERIES, Level.IMAGE):
            name = unique_key(level)
            known = set(self._services.sql(_ABOVE[level], {"uids": sorted(given)})[name])
            if known and known >= given:
                return name
            if known:
                raise InputError(
                    f"Only {len(known)} of {counted(len(given), 'UID')} are known as a {name}.",
                    advice=f'Name what they are: pd.Series(uids, name="{name}").',
                )
        return unique_key(Level.STUDY)

    def _above(self, level: Level, uids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the UIDs above each series or image, by its UID."""
        name = unique_key(level)
        rows = self._services.sql(_ABOVE[level], {"uids": sorted(set(uids))}).to_dict("records")
        above: dict[str, dict[str, Any]] = {str(row[name]): {str(key): row[key] for key in row} for row in rows}
        for uid in dict.fromkeys(uids):
            if uid not in above:
                planned = Reasons(self._services).of(uid).dropna(subset=["StudyInstanceUID", "SeriesInstanceUID"])
                if planned.empty:
                    what = "study of series" if level is Level.SERIES else "series of image"
                    raise InputError(
                        f"The {what} {uid} is not known.", advice="Give its StudyInstanceUID too, or find it first."
                    )
                above[uid] = {str(key): value for key, value in planned.iloc[0].items()}
        return above

    def _lack_of_room(self, node: Node, to_come: int) -> str:
        """Return why a new job waits; nothing where a worker of another site, with its own disk, will run it."""
        if not node.is_reached_from(self._settings.site):
            return ""
        return DiskSpace.of(self._settings, self._state).shortage(to_come)

    def _handlers(self, names: Sequence[str] | None, to: str) -> tuple[str, ...] | None:
        if names is None:
            return None
        if to and names:
            raise InputError("No handler runs on objects that go to a store node: they do not arrive here.")
        return tuple(handler.name for handler in chosen(self._services.handlers, names))

    def _bytes_to_come(self, wanted: _Retrieve) -> int | None:
        """Return how many bytes requests will bring, by the rows they were made of or by earlier results."""
        known = wanted.known
        levels = {request.level for request in wanted.requests}
        if known is None and len(levels) == 1:
            level = levels.pop()
            uids = [request.SeriesInstanceUID or request.StudyInstanceUID for request in wanted.requests]
            known = self._services.sql(_COUNTED[level], {"uids": uids}) if level in _COUNTED else None
        return None if known is None else bytes_to_come(self._state, wanted.node.name, known, wanted.requests)


def doubts_of(what: pd.DataFrame | Plan) -> tuple[str, ...]:
    """Return why a plan, or the result that a table is from, may be incomplete; empty if that is not known."""
    if isinstance(what, Plan):
        return _doubts("plan", what.plan_id, what.coverage)
    told = what.attrs.get("qrkit", {})
    return _doubts("query", str(told.get("query_id", "")), Coverage.from_json(told.get("coverage") or {}))


def _doubts(kind: str, source: str, coverage: Coverage) -> tuple[str, ...]:
    return () if coverage.is_complete else (f"the result of {kind} {source} {coverage.verdict}",)


def check_budget(settings: Settings, plan: Plan) -> None:
    """Raise `InputError` for a plan that exceeds the budget of the site, unless that is confirmed."""
    if not plan.is_confirmed:
        site_budget(settings.tables.get("plan", {})).check(plan.cost)


def _method(method: str, node: Node, destination: Node | None) -> Method:
    try:
        asked = Method(method)
    except ValueError as error:
        raise InputError(f"The method is auto, get or move, not {shown(method)}.") from error
    if destination is None:
        return asked
    if asked is Method.GET or not node.can_move:
        raise InputError(f"To deliver to {destination.name}, node {node.name} must be asked by C-MOVE.")
    if not destination.can_store:
        raise InputError(
            f"Node {destination.name} takes no objects.",
            advice=Advice(
                "If it does, change this setting", Action.EDIT_NODE, destination.name, (("can_store", True),)
            ),
        )
    return Method.MOVE
