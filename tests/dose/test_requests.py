"""How needs become requests, and how far the answers are believed: a node of literal rows, no network."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from qrkit.dose import (
    Answer,
    Need,
    NeedKind,
    NeedRequests,
    ObjectRow,
    ObjectsAnswer,
    SeriesAnswer,
    StudyRow,
    Unanswered,
)
from qrkit.dose.requests import IN_WINDOW, NeedRequest
from qrkit.errors import StatusError
from qrkit.find.windowed import WindowedAnswer
from qrkit.find.windows import cap_reason
from qrkit.node import InformationModel
from qrkit.profile import Profile, Statement, Subject, Verdict
from qrkit.query import Request
from qrkit.tables import Level
from tests.dose.world import CT, RDSR, REPORT


def honouring(*subjects: Subject) -> Profile:
    seen = (Statement(subject=subject, verdict=Verdict.HONOURED, evidence="seen") for subject in subjects)
    return Profile(node="pacs", probed="2026-01-31T08:00:00+00:00", statements=tuple(seen))


LISTS = honouring(Subject.SERIES_OF_STUDIES, Subject.MODALITY)
ALL = honouring(
    Subject.SERIES_OF_STUDIES,
    Subject.MODALITY,
    Subject.SERIES_BY_DATE_AND_MODALITY,
    Subject.IMAGES_BY_DATE_AND_CLASS,
)
UNKNOWN = Profile.unknown("pacs")


COLUMNS = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SOPInstanceUID", "SOPClassUID", "InstanceNumber")


class Archive:
    """Studies with a CT and an SR series each; answers requests as a relational PACS, and counts them."""

    def __init__(self, count: int, *, series_count: int | None = 2) -> None:
        self.studies = {
            f"1.{number}": StudyRow(
                StudyInstanceUID=f"1.{number}",
                PatientID=f"P{number}",
                StudyDate=f"202601{1 + number % 28:02}",
                ModalitiesInStudy=frozenset({"CT", "SR"}),
                series_count=series_count,
            )
            for number in range(count)
        }
        self.steps: list[list[Request]] = []
        self.hidden: set[str] = set()
        self.refuses_lists = False
        self.sr_series = 1
        self.matches_modality = self.returns_modality = True

    def ask(self, needs: Sequence[Need], profile: Profile, *, patient_root: bool = False) -> dict[Need, Answer]:
        model = InformationModel.PATIENT_ROOT if patient_root else InformationModel.STUDY_ROOT
        asking = NeedRequests(self.studies, profile, model=model).requests_for(needs)
        try:
            requests = next(asking)
            while True:
                self.steps.append([one.request for one in requests])
                tables = [(one, self.reply(one.request)) for one in requests]
                requests = asking.send([self.result(one, table) for one, table in tables])
        except StopIteration as end:
            answers: dict[Need, Answer] = end.value
            return answers

    @property
    def requests(self) -> list[Request]:
        return [request for step in self.steps for request in step]

    def result(self, asked: NeedRequest, table: pa.Table | None) -> WindowedAnswer:
        """Return a table with the doubts that windows without a known cap leave."""
        if table is None:
            return WindowedAnswer(table=pa.table({}), error=StatusError("refused", status=0xA900))
        reason = cap_reason(table.num_rows) if asked.has_all is not None and not asked.has_all(table) else ""
        return WindowedAnswer(table=table, doubts=(reason,) if reason else ())

    def reply(self, request: Request) -> pa.Table | None:
        is_bulk = not request.value("StudyInstanceUID") or "\\" in request.value("StudyInstanceUID")
        if self.refuses_lists and is_bulk:
            return None
        rows = [row for uid, study in self.studies.items() for row in self.rows(uid, study)]
        found = [row for row in rows if self.matches(row, request, is_bulk=is_bulk)]
        if request.level is Level.SERIES:
            found = list({row["SeriesInstanceUID"]: row for row in found}.values())
        names = (
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "Modality",
            "SOPInstanceUID",
            "SOPClassUID",
            "InstanceNumber",
        )
        if not self.returns_modality:
            found = [row | {"Modality": ""} for row in found]
        return pa.table({name: [row[name] for row in found] for name in names})

    def rows(self, uid: str, study: StudyRow) -> list[dict[str, object]]:
        objects = [("CT", "1", CT, 1), ("CT", "1", CT, 2), ("SR", "2", RDSR, 0), ("SR", "2", REPORT, 5)]
        objects += [("SR", str(number), RDSR, 0) for number in range(3, 2 + self.sr_series)]
        return [
            {
                "StudyInstanceUID": uid,
                "StudyDate": study.StudyDate,
                "SeriesInstanceUID": f"{uid}.{series}",
                "Modality": modality if self.matches_modality else "",
                "SOPInstanceUID": f"{uid}.{series}.{number}",
                "SOPClassUID": sop_class,
                "InstanceNumber": number,
            }
            for modality, series, sop_class, number in objects
        ]

    def matches(self, row: dict[str, object], request: Request, *, is_bulk: bool) -> bool:
        if is_bulk and row["StudyInstanceUID"] in self.hidden:
            return False
        for keyword, value in request.keys:
            if keyword == "StudyDate":
                first, _, last = value.partition("-")
                if not first <= str(row["StudyDate"]) <= (last or first):
                    return False
            elif keyword in row and str(row[keyword]) not in value.split("\\"):
                return False
        return True


def needs(archive: Archive, ask: NeedKind, series: str = "") -> list[Need]:
    return [Need(ask, uid, f"{uid}.{series}" if series else "") for uid in archive.studies]


def modalities(answer: Answer) -> list[str]:
    assert isinstance(answer, SeriesAnswer)
    return [row.Modality for row in answer.rows]


def test_the_careful_way_is_one_request_per_study_or_series_with_the_keys_above() -> None:
    archive = Archive(3)
    answers = archive.ask(needs(archive, NeedKind.SERIES), UNKNOWN)
    assert [modalities(answer) for answer in answers.values()] == [["CT", "SR"]] * 3
    assert [request.keys for request in archive.requests] == [(("StudyInstanceUID", uid),) for uid in archive.studies]
    archive.ask(needs(archive, NeedKind.OBJECTS, "2"), ALL, patient_root=True)
    assert archive.requests[-1].keys == (
        ("PatientID", "P2"),
        ("StudyInstanceUID", "1.2"),
        ("SeriesInstanceUID", "1.2.2"),
    )


@pytest.mark.slow
def test_lists_and_ranges_of_days_take_few_requests_and_tell_the_same() -> None:
    archive = Archive(180)
    for ask, series in (
        (NeedKind.SERIES, ""),
        (NeedKind.SR_SERIES, ""),
        (NeedKind.OBJECTS, "2"),
        (NeedKind.FIRST_IMAGE, "1"),
    ):
        wanted = needs(archive, ask, series)
        archive.steps.clear()
        careful = archive.ask(wanted, UNKNOWN)
        assert len(archive.requests) == 180
        for profile in (LISTS, ALL):
            archive.steps.clear()
            assert archive.ask(wanted, profile) == careful
            assert len(archive.requests) <= 180 / 90 + 1 or ask is NeedKind.FIRST_IMAGE


def test_sr_series_and_dose_objects_come_by_days() -> None:
    archive = Archive(600)
    wanted = [*needs(archive, NeedKind.SR_SERIES), *needs(archive, NeedKind.DOSE_OBJECTS, "2")]
    answers = archive.ask(wanted, ALL)
    assert len(archive.steps) == 1
    assert len(archive.requests) <= 2 * (600 / IN_WINDOW + 1)
    assert not any(request.value("StudyInstanceUID") for request in archive.requests)
    assert set(answers) == set(wanted)
    assert answers[Need(NeedKind.DOSE_OBJECTS, "1.7", "1.7.2")] == ObjectsAnswer(
        (ObjectRow("1.7.2.0", RDSR, 0),), is_whole=False
    )


def test_a_study_that_a_list_or_range_leaves_out_is_asked_for_the_careful_way() -> None:
    for ask, series in (
        (NeedKind.SERIES, ""),
        (NeedKind.SR_SERIES, ""),
        (NeedKind.DOSE_OBJECTS, "2"),
        (NeedKind.OBJECTS, "1"),
    ):
        archive = Archive(30)
        archive.hidden = {"1.3"}
        answers = archive.ask(needs(archive, ask, series), ALL)
        careful = [request for request in archive.requests if request.value("StudyInstanceUID") == "1.3"]
        assert len(careful) == 1
        assert len(answers) == 30
        answer = answers[Need(ask, "1.3", f"1.3.{series}" if series else "")]
        assert not isinstance(answer, Unanswered)
        assert answer.rows


@pytest.mark.parametrize("series_count", [2, None])
def test_an_answer_that_looks_cut_off_is_believed_only_where_counts_agree(series_count: int | None) -> None:
    archive = Archive(51, series_count=series_count)
    archive.hidden = {"1.50"}  # leaves 100 series: as many as some PACS stop at
    archive.ask(needs(archive, NeedKind.SERIES), LISTS)
    assert len(archive.requests) == (2 if series_count else 52)


def test_a_suspicious_number_is_none_where_all_that_was_asked_for_is_there() -> None:
    archive = Archive(50, series_count=None)
    assert len(archive.ask(needs(archive, NeedKind.SERIES), LISTS)) == 50
    assert len(archive.requests) == 1


def test_a_node_that_refuses_lists_is_asked_the_careful_way() -> None:
    archive = Archive(20)
    archive.refuses_lists = True
    answers = archive.ask(needs(archive, NeedKind.SERIES), ALL)
    assert [modalities(answer) for answer in answers.values()] == [["CT", "SR"]] * 20
    assert len(archive.requests) == 21


@pytest.mark.parametrize(("most_rows", "sent"), [(0, 2), (500, 1)])
def test_many_sr_series_are_asked_for_among_all_series_which_the_node_counts(most_rows: int, sent: int) -> None:
    archive = Archive(1)
    archive.sr_series = 12
    profile = replace(UNKNOWN, probed="2026-01-31T08:00:00+00:00", most_answers=most_rows)
    (answer,) = archive.ask(needs(archive, NeedKind.SR_SERIES), profile).values()
    assert [request.value("Modality") for request in archive.requests] == ["SR", ""][:sent]
    assert modalities(answer) == ["CT"] * (sent - 1) + ["SR"] * 12


def test_the_first_image_is_number_1_and_only_without_it_number_0() -> None:
    archive = Archive(1)
    ct, sr = Need(NeedKind.FIRST_IMAGE, "1.0", "1.0.1"), Need(NeedKind.FIRST_IMAGE, "1.0", "1.0.2")
    answers = archive.ask([ct, sr], UNKNOWN)
    assert answers == {
        ct: ObjectsAnswer((ObjectRow("1.0.1.1", CT, 1),)),
        sr: ObjectsAnswer((ObjectRow("1.0.2.0", RDSR, 0),)),
    }
    numbers = [[request.value("InstanceNumber") for request in step] for step in archive.steps]
    assert numbers == [["1", "1"], ["0"], [""]]  # the last one because the object with the number 0 is no image


def test_sr_series_come_first_only_with_evidence_that_few_requests_list_them() -> None:
    assert not UNKNOWN.lists_sr_series
    assert not honouring(Subject.SERIES_OF_STUDIES).lists_sr_series
    assert LISTS.lists_sr_series
    assert honouring(Subject.SERIES_BY_DATE_AND_MODALITY).lists_sr_series


@pytest.mark.parametrize("profile", [UNKNOWN, LISTS, ALL], ids=["unknown", "lists", "all"])
@pytest.mark.parametrize("is_matched", [True, False])
def test_sr_series_of_a_node_that_omits_the_modality_are_among_the_answers(
    profile: Profile, *, is_matched: bool
) -> None:
    archive = Archive(3)
    archive.returns_modality, archive.matches_modality = False, is_matched
    answers = archive.ask(needs(archive, NeedKind.SR_SERIES), profile)
    for need, answer in answers.items():
        assert isinstance(answer, SeriesAnswer)
        assert f"{need.StudyInstanceUID}.2" in {row.SeriesInstanceUID for row in answer.rows}
