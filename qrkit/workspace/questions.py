"""The queries and dose plans of a workspace: their arguments, as an editor shows them, and what they return."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qrkit.stop import NEVER, Stop
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.nodes import NodeChecks

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.dose import Plan
    from qrkit.dose.planner import Planner
    from qrkit.find.finder import FindResult
    from qrkit.jobs.estimate import Estimate
    from qrkit.query import DayLike, DaysLike, Query, TextList, TimeLike
    from qrkit.tables import Level


@checks_arguments
class Questions(NodeChecks):
    """The part of a workspace that queries and plans."""

    @cached_property
    def _planner(self) -> Planner:
        from qrkit.dose.planner import Planner

        services = self._services
        return Planner(services.state, services.finder, services.settings, user=services.user)

    def find(  # noqa: PLR0913 - the public arguments of a query, which editors complete and type checkers check
        self,
        node: str,
        *,
        level: Level | str = "STUDY",
        modalities: TextList | None = None,
        date: DaysLike | None = None,
        date_from: DayLike | None = None,
        date_until: DayLike | None = None,
        time: tuple[TimeLike | None, TimeLike | None] | None = None,
        time_from: TimeLike | None = None,
        time_until: TimeLike | None = None,
        patient_id: TextList | None = None,
        patient_name: str | None = None,
        accession: TextList | None = None,
        study_uid: TextList | None = None,
        series_uid: TextList | None = None,
        sop_uid: TextList | None = None,
        description_include: TextList | None = None,
        description_exclude: TextList | None = None,
        station_include: TextList | None = None,
        station_exclude: TextList | None = None,
        station_level: Level | str | None = None,
        blank: str | None = None,
        return_keys: TextList | None = None,
        **keys: object,
    ) -> pd.DataFrame:
        """Query a node by C-FIND, and store the result.

        A list is a list, tuple, set or pandas Series of strings, or one text with commas. A comma within a value
        needs a list: ``accession=["A,1"]``.

        Parameters
        ----------
        node
            Name of the node.
        level
            patient, study, series or image.
        modalities
            List of modality codes, such as ``"CT,MR"``; studies or series of any of them.
        date
            StudyDate: one day, a pair ``(first, last)``, a range ``"20260101-20260131"``, ``"2026-01-01 to
            2026-01-31"`` or ``"2026-01-01/2026-01-31"``, a month ``"2026-01"``, an ISO week ``"2026-W05"``, ``"last
            7 days"``, ``"this month"``, ``"last week"``, or a pandas Period. A day is ``today``, ``yesterday``, text
            as of ISO or DICOM, or a date of Python, pandas or NumPy. Dates in reverse order are put in order, which
            ``notes`` of the coverage reports.
        date_from
            First StudyDate; without `date_until`, until today.
        date_until
            Last StudyDate.
        time
            StudyTime: a pair ``("08:00", "12:30")``; needs a single day. Hours over midnight need two queries.
        time_from
            First StudyTime.
        time_until
            Last StudyTime.
        patient_id
            List of PatientIDs; ``*`` and ``?`` are wildcards. One request for each.
        patient_name
            PatientName; ``*`` and ``?`` are wildcards, a comma is part of the name.
        accession
            List of AccessionNumbers. One request for each.
        study_uid
            List of StudyInstanceUIDs.
        series_uid
            List of SeriesInstanceUIDs.
        sop_uid
            List of SOPInstanceUIDs.
        description_include
            List of terms; keep studies whose StudyDescription contains one, in any case.
        description_exclude
            List of terms; drop studies whose StudyDescription contains one.
        station_include
            List of terms; keep rows whose StationName contains one.
        station_exclude
            List of terms; drop rows whose StationName contains one.
        station_level
            Which StationName is meant: study or series.
        blank
            What include filters do with rows without a value: keep (default) or drop.
        return_keys
            List of further DICOM keywords to return as columns.
        **keys
            Any DICOM keyword as a matching key, such as ``PatientSex="F"``; ``"*"`` returns it without matching.

        Returns
        -------
        DataFrame
            One row per patient, study, series or image; columns are DICOM keywords. ``frame.attrs["qrkit"]`` has
            ``query_id``, ``coverage`` (whether the result is complete, and why not) and ``warnings``. For lists,
            ``coverage["not_found"]`` has the values without a row, by keyword; those of which that is
            not proven are in ``not_returned`` and ``unanswered``. Values whose studies other keys or the modalities
            exclude are in ``excluded``.

        Raises
        ------
        InputError
            If an argument is unknown or not valid; nothing was sent.
        NotFound
            If there is no such node.
        NodeError
            If the node cannot be reached or refuses the query; never an empty table.

        Examples
        --------
        A month of CT, without imported studies::

            ws.find("pacs", modalities="CT", date=("2026-01-01", "2026-01-31"), description_exclude="imported")

        The series of one patient::

            ws.find("pacs", level="SERIES", PatientID="Q100003")

        The studies of a column of accession numbers::

            frame = ws.find("pacs", accession=table["AccessionNumber"])
            frame.attrs["qrkit"]["coverage"].get("not_found")
        """
        from qrkit.query import ARGUMENTS, build_query

        given = {name: value for name, value in locals().items() if name in ARGUMENTS} | keys
        query = build_query(today=dt.date.today(), **given)
        return self.ask(node, query).frame()

    def ask(self, node: str, query: Query, *, stop: Stop = NEVER) -> FindResult:
        """Query a node by a query that is a value already; errors as `find`."""
        from qrkit.store.settling import settle

        services = self._services
        result = services.finder.find(services.nodes.get(node), query, stop=stop)
        settle(services.state, services.results.folder)
        return result

    def plan(  # noqa: PLR0913 - the public arguments of a plan, which editors complete and type checkers check
        self,
        node: str,
        dose: TextList = (),
        *,
        sr_only: bool = False,
        toshiba: bool = False,
        empty_sr: bool = False,
        refetch: bool = False,
        whole_archive: bool = False,
        refresh: bool = False,
        date: DaysLike | None = None,
        date_from: DayLike | None = None,
        date_until: DayLike | None = None,
        time: tuple[TimeLike | None, TimeLike | None] | None = None,
        time_from: TimeLike | None = None,
        time_until: TimeLike | None = None,
        patient_id: TextList | None = None,
        patient_name: str | None = None,
        accession: TextList | None = None,
        study_uid: TextList | None = None,
        description_include: TextList | None = None,
        description_exclude: TextList | None = None,
        station_include: TextList | None = None,
        station_exclude: TextList | None = None,
        station_level: Level | str | None = None,
        blank: str | None = None,
        stop: Stop = NEVER,
        **keys: object,
    ) -> Plan:
        """Plan to retrieve the fewest objects that carry dose; nothing is retrieved yet.

        Parameters
        ----------
        node
            Name of the node.
        dose
            List of dose groups: any of CT, MG, FL, DX, NM.
        sr_only
            Studies of nothing but structured reports, instead of dose groups.
        toshiba
            Take one image of each series of a CT study without a dose report.
        empty_sr
            Take SR series in which the node lists no objects.
        refetch
            Retrieve also objects that are stored already.
        whole_archive
            Allow a plan without a date range.
        refresh
            Repeat the queries of earlier plans.
        date
            StudyDate, as `find` takes it.
        date_from
            First StudyDate.
        date_until
            Last StudyDate.
        time
            StudyTime, a pair; needs a single day.
        time_from
            First StudyTime.
        time_until
            Last StudyTime.
        patient_id
            List of PatientIDs; ``*`` and ``?`` are wildcards.
        patient_name
            PatientName; ``*`` and ``?`` are wildcards.
        accession
            List of AccessionNumbers.
        study_uid
            List of StudyInstanceUIDs.
        description_include
            List of terms; keep studies whose StudyDescription contains one.
        description_exclude
            List of terms; drop studies whose StudyDescription contains one.
        station_include
            List of terms; keep those whose StationName contains one.
        station_exclude
            List of terms; drop those whose StationName contains one.
        station_level
            Which StationName is meant: series (default) or study.
        blank
            What include filters do with rows without a value: keep (default) or drop.
        stop
            Ends the plan early; results until then are kept for the next one.
        **keys
            Any DICOM keyword of studies as a matching key.

        Returns
        -------
        Plan
            With a reason for every series. It is stored in `plans`; `retrieve` retrieves what is still missing.

        Raises
        ------
        InputError
            If an argument is unknown or not valid, or there is no date; nothing was sent.
        NotFound
            If there is no such node.
        NodeError
            If the node cannot be reached or refuses the query.

        Examples
        --------
        The dose of CT and mammography of 30 days, and its retrieve::

            plan = ws.plan("pacs", dose=["CT", "MG"], date="last 30 days")
            job = ws.retrieve(plan)
        """
        from qrkit.dose.plan import save_plan
        from qrkit.dose.query import PLAN_ARGUMENTS, build_dose_query

        given: dict[str, Any] = {name: value for name, value in locals().items() if name in PLAN_ARGUMENTS} | keys
        asked = build_dose_query(today=dt.date.today(), **given)
        services = self._services
        plan = self._planner.plan(services.nodes.get(node), asked, refresh=refresh, stop=stop)
        save_plan(services.plans, plan)
        return plan

    def why(self, what: str) -> pd.DataFrame:
        """Return why something was or was not retrieved, by the newest plan that includes it.

        Parameters
        ----------
        what
            An AccessionNumber, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID.

        Returns
        -------
        DataFrame
            One row per work item: the `level` of the decision, `keep`, `rule`, `reason` and `trail`; `here`, whether
            an object of it is stored; `plan_id` and `created`. No row, and a logged warning: no plan includes this
            UID. For an image that no plan looked at, the row is that of its series or study.

        Raises
        ------
        NotFound
            If it is not a UID, and no plan includes a study with this AccessionNumber.

        Examples
        --------
        ::

            ws.why("1.2.840.113619.2.1")[["keep", "reason"]]
        """
        from qrkit.workspace.plans import Reasons

        return Reasons(self._services).why(what)

    def estimate(self, frame: pd.DataFrame, *, node: str = "") -> Estimate:
        """Return how many objects the rows of a `find` have, and what it costs to retrieve them.

        Counts are those of the rows; sizes and rate are those of earlier retrieves. None means unknown.

        Parameters
        ----------
        frame
            Studies, series or images.
        node
            Name of the node to retrieve from. Not needed for rows of a `find`.

        Returns
        -------
        Estimate
            Objects, bytes and seconds.

        Raises
        ------
        InputError
            If the table has no UIDs.
        """
        from qrkit.jobs.estimate import estimate
        from qrkit.store.instances import node_history
        from qrkit.workspace.estimates import selections

        query_id = str(frame.attrs.get("qrkit", {}).get("query_id", ""))
        asked = node or (self._services.queries.get(query_id).node if query_id else "")
        return estimate(selections(frame), node_history(self._services.state, asked))
