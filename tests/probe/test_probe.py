from datetime import date, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrkit.node import InformationModel, Node
from qrkit.probe.evaluation import MANY, DateWindow, likely_cap
from qrkit.probe.questions import Agreement, QueryAnswers, QueryEnd
from qrkit.profile import Extension, Fill, Profile, Subject, Verdict
from qrkit.query.dates import Dates
from qrkit.tables import Level
from tests.probe.pacs import NODE, TODAY, AnswerRow, Habits, Pacs, made_study

KINDS = (("CT", "SR"), ("MR",), ("CT",), ("DX", "SR"))


def hospital(count: int = 60, days: int = 10, kinds: tuple[tuple[str, ...], ...] = KINDS) -> list[AnswerRow]:
    """Some studies a day, up to today, of these modalities in turn."""
    return [
        made_study(n, TODAY - timedelta(days=n % days), kinds[(n + n // days) % len(kinds)]) for n in range(count)
    ]


def probed(studies: list[AnswerRow], **habits: object) -> Profile:
    return Pacs(studies=studies, habits=Habits(**habits)).probed()  # type: ignore[arg-type]  # habits by name


def keys(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_a_good_pacs_shows_all_it_can_in_twelve_questions() -> None:
    pacs = Pacs(studies=hospital())
    profile = pacs.probed()
    unknown = {subject for subject in Subject if not profile.honours(subject)}
    assert unknown == {Subject.CANCEL, Subject.CHARACTER_SET}
    assert profile.requests == len(pacs.asked) == 12
    assert profile.notes == ()
    assert profile.services == ("C-ECHO", "C-GET", "C-MOVE")
    assert profile.accepts(Extension.RELATIONAL)
    assert all(question.relational for question in pacs.asked)


def test_every_question_is_small_but_the_one_for_a_cap() -> None:
    pacs = Pacs(studies=hospital(3_000, days=30))
    pacs.probed()
    limits = [question.limit for question in pacs.asked]
    assert sorted(limits)[-2] <= 500
    assert max(limits) == MANY
    assert all(dict(question.request.keys) for question in pacs.asked), "nothing asks for the whole archive"


def test_evidence_has_numbers_and_no_values_of_patients() -> None:
    studies = [study | {"PatientName": "Doe^Jane"} for study in hospital()]
    for statement in probed(studies).statements:
        assert not any(private in statement.evidence for private in ("Doe", "of part", "P1"))
        if statement.verdict is not Verdict.UNKNOWN:
            assert any(character.isdigit() for character in statement.evidence)


@pytest.mark.parametrize(
    ("habits", "subject", "verdict"),
    [
        ({"ignored": keys("StudyDate")}, Subject.STUDY_DATE, Verdict.IGNORED),
        ({"ignored": keys("StudyTime")}, Subject.STUDY_TIME, Verdict.IGNORED),
        ({"ignored": keys("ModalitiesInStudy")}, Subject.MODALITIES_IN_STUDY, Verdict.IGNORED),
        ({"ignored": keys("StudyDescription")}, Subject.STUDY_DESCRIPTION, Verdict.IGNORED),
        ({"ignored": keys("Modality")}, Subject.MODALITY, Verdict.IGNORED),
        ({"ignored": keys("Modality")}, Subject.SERIES_BY_DATE_AND_MODALITY, Verdict.IGNORED),
        ({"ignored": keys("Modality")}, Subject.SERIES_WITHOUT_STUDY, Verdict.HONOURED),
        ({"ignored": keys("InstanceNumber")}, Subject.INSTANCE_NUMBER, Verdict.IGNORED),
        ({"ignored": keys("SOPClassUID")}, Subject.IMAGES_BY_DATE_AND_CLASS, Verdict.IGNORED),
        ({"ignored_without_study": keys("StudyDate")}, Subject.SERIES_BY_DATE_AND_MODALITY, Verdict.IGNORED),
        ({"ignored_without_study": keys("StudyDate")}, Subject.STUDY_DATE, Verdict.HONOURED),
        ({"refused": keys("lists")}, Subject.UID_LISTS, Verdict.REFUSED),
        ({"refused": keys("lists")}, Subject.SERIES_OF_STUDIES, Verdict.REFUSED),
        ({"refused": keys("lists")}, Subject.STUDY_TIME, Verdict.HONOURED),
        ({"refused": keys("relational")}, Subject.SERIES_WITHOUT_STUDY, Verdict.REFUSED),
        ({"refused": keys("relational")}, Subject.IMAGES_WITHOUT_SERIES, Verdict.REFUSED),
        ({"refused": keys("relational")}, Subject.MODALITY, Verdict.HONOURED),
        ({"refused": keys("ModalitiesInStudy")}, Subject.MODALITIES_IN_STUDY, Verdict.REFUSED),
        ({"leaves_out": keys("ModalitiesInStudy")}, Subject.MODALITIES_IN_STUDY, Verdict.REFUSED),
        ({"omitted": keys("ModalitiesInStudy")}, Subject.MODALITIES_IN_STUDY, Verdict.HONOURED),
        (
            {"omitted": keys("ModalitiesInStudy"), "ignored": keys("ModalitiesInStudy")},
            Subject.MODALITIES_IN_STUDY,
            Verdict.IGNORED,
        ),
        ({"literal_wildcards": True}, Subject.WILDCARDS, Verdict.IGNORED),
        ({"literal_wildcards": True}, Subject.STUDY_DESCRIPTION, Verdict.HONOURED),
        ({"any_case": True}, Subject.CASE, Verdict.IGNORED),
        ({"any_case": True}, Subject.WILDCARDS, Verdict.HONOURED),
        ({"any_case": True, "literal_wildcards": True}, Subject.WILDCARDS, Verdict.IGNORED),
    ],
)
def test_each_habit_gets_its_verdict(habits: dict[str, object], subject: Subject, verdict: Verdict) -> None:
    profile = probed(hospital(), **habits)
    assert profile.verdict(subject) is verdict, profile.statement(subject).evidence


@pytest.mark.parametrize("kind", [("CT",), ("CT", "SR")])
def test_where_all_studies_are_alike_a_modality_that_none_has_tells(kind: tuple[str, ...]) -> None:
    alike = hospital(kinds=(kind,))
    assert probed(alike).honours("ModalitiesInStudy")
    assert probed(alike, ignored=keys("ModalitiesInStudy")).verdict("ModalitiesInStudy") is Verdict.IGNORED


def test_of_an_empty_archive_nothing_is_said() -> None:
    pacs = Pacs(studies=[])
    profile = pacs.probed()
    assert {statement.verdict for statement in profile.statements} == {Verdict.UNKNOWN}
    assert {one.fill for one in profile.returned} == {Fill.UNKNOWN}
    assert profile.cap is None
    assert len(pacs.asked) == 2
    assert "no studies" in profile.notes[0]


def test_of_one_study_only_what_it_shows_is_said() -> None:
    profile = probed([made_study(1, date(2019, 5, 2), ["CT"], images=1)])
    assert profile.honours("StudyDate")
    assert profile.honours("ModalitiesInStudy")
    for subject in (Subject.STUDY_TIME, Subject.UID_LISTS, Subject.SERIES_OF_STUDIES, Subject.CASE):
        assert profile.verdict(subject) is Verdict.UNKNOWN
    assert profile.verdict(Subject.SERIES_BY_DATE_AND_MODALITY) is Verdict.UNKNOWN


def test_old_studies_are_looked_at_where_there_are_no_new_ones() -> None:
    old = [study | {"StudyDate": date(2011, 3, 1 + place % 9)} for place, study in enumerate(hospital())]
    profile = probed(old)
    assert profile.honours("StudyDate")
    assert profile.honours("ModalitiesInStudy")


def test_of_a_large_old_archive_one_day_is_looked_at() -> None:
    old = [study | {"StudyDate": date(2011, 3, 1 + place % 9)} for place, study in enumerate(hospital(900))]
    pacs = Pacs(studies=old)
    profile = pacs.probed()
    assert profile.honours("StudyDate")
    assert profile.honours("ModalitiesInStudy")
    assert profile.honours("cancel")


@pytest.mark.slow
@pytest.mark.parametrize("says_so", [False, True])
@pytest.mark.parametrize("cap", [7, 50, 100, 200, 500, 1_000])
def test_a_cap_is_found(cap: int, *, says_so: bool) -> None:
    profile = probed(hospital(2_500, days=50), stops_at=cap, says_so=says_so)
    assert profile.cap == cap, profile.cap_evidence


def test_a_round_number_of_studies_is_no_cap_where_a_part_of_the_days_has_fewer() -> None:
    profile = probed(hospital(500, days=50))
    assert profile.cap is None
    assert (profile.most_answers, profile.cap_evidence) == (250, "no cap was seen: one question got 500 responses")


@pytest.mark.parametrize("cap", [30, 46, 73])
def test_results_of_a_node_that_ignores_dates_and_stops_at_one_number_prove_no_number(cap: int) -> None:
    profile = probed(hospital(500, days=12), ignored=keys("StudyDate"), stops_at=cap)
    assert profile.verdict("StudyDate") is Verdict.IGNORED
    assert (profile.cap, profile.cap_evidence) == (None, "unknown, since the node ignores StudyDate")
    assert profile.most_answers < cap


def test_a_success_after_c_cancel_proves_no_more_than_what_was_received_before() -> None:
    days = Dates(first=TODAY, last=TODAY)
    rows = tuple({"StudyInstanceUID": f"1.{number}"} for number in range(100))
    ended = {QueryEnd.SUCCESS: 100, QueryEnd.CANCELLED: 123, QueryEnd.CANCEL_IGNORED: 123}
    for end, most in ended.items():
        answers = QueryAnswers(rows=rows, count=123, was_cancelled=True, ended=end)
        window = DateWindow(days=days, answers=answers, present=frozenset(), owed=frozenset())
        assert likely_cap([window]).most_answers == most


@pytest.mark.slow
def test_how_c_cancel_is_taken_is_seen_where_answers_are_many() -> None:
    assert probed(hospital(3_000, days=30)).honours("cancel")
    assert probed(hospital(3_000, days=30), heeds_cancel=False).verdict("cancel") is Verdict.IGNORED


def test_what_comes_back_is_told_by_level() -> None:
    profile = probed(hospital(), omitted=keys("SOPClassesInStudy", "NumberOfSeriesRelatedInstances"))
    assert profile.fills("ModalitiesInStudy")
    assert profile.fills("SOPClassUID")
    assert profile.returns("SOPClassesInStudy").fill is Fill.NOT_RETURNED
    assert profile.returns("NumberOfSeriesRelatedInstances").fill is Fill.NOT_RETURNED
    assert profile.returns("StationName", Level.SERIES).fill is Fill.EMPTY


def test_a_node_without_c_find_is_not_asked() -> None:
    pacs = Pacs(studies=hospital(), habits=Habits(agreement=Agreement(echo=True)))
    profile = pacs.probed()
    assert (pacs.asked, profile.model, profile.models) == ([], None, ())
    assert profile.services == ("C-ECHO",)
    assert "no information model" in profile.notes[0]


def test_a_model_that_is_accepted_is_asked_under_instead_and_people_are_told() -> None:
    pacs = Pacs(studies=hospital(), habits=Habits(agreement=Agreement(find=(InformationModel.PATIENT_ROOT,))))
    profile = pacs.probed()
    assert profile.model is InformationModel.PATIENT_ROOT
    assert "Change its information model to patient-root." in profile.notes[0]


def test_a_node_that_breaks_off_at_extensions_is_asked_without() -> None:
    pacs = Pacs(studies=hospital(), habits=Habits(agreement=Agreement(failure="PACS sent A-ABORT.")))
    profile = pacs.probed()
    assert [bool(offer.extensions) for offer in pacs.offered] == [True, False]
    assert "PACS sent A-ABORT." in profile.notes[0]
    assert not any(question.relational for question in pacs.asked)


def test_under_a_model_without_series_nothing_is_asked_below_studies() -> None:
    model = InformationModel.PATIENT_STUDY_ONLY
    pacs = Pacs(studies=hospital(), habits=Habits(agreement=Agreement(find=(model,))))
    node = Node(name="pacs", host="10.1.2.3", ae_title="PACS", information_model=model)
    profile = pacs.probed(node)
    assert {question.request.level for question in pacs.asked} == {Level.STUDY}
    assert profile.verdict("Modality") is Verdict.UNKNOWN


_KEYS = [
    "StudyDate",
    "StudyTime",
    "ModalitiesInStudy",
    "StudyDescription",
    "Modality",
    "InstanceNumber",
    "SOPClassUID",
]
_some_keys = st.frozensets(st.sampled_from(_KEYS), max_size=3)
_habits = st.builds(
    Habits,
    ignored=_some_keys,
    ignored_without_study=_some_keys,
    omitted=st.frozensets(
        st.sampled_from(
            [*_KEYS, "SOPClassesInStudy", "NumberOfStudyRelatedSeries", "NumberOfSeriesRelatedInstances"]
        ),
        max_size=4,
    ),
    refused=st.frozensets(st.sampled_from([*_KEYS, "lists", "relational"]), max_size=2),
    leaves_out=st.frozensets(st.sampled_from(_KEYS), max_size=1),
    literal_wildcards=st.booleans(),
    any_case=st.booleans(),
    stops_at=st.sampled_from([0, 0, 0, 1, 5, 30]),
    says_so=st.booleans(),
    heeds_cancel=st.booleans(),
)
_studies = st.lists(
    st.builds(
        made_study,
        st.integers(0, 10_000),
        st.integers(0, 400).map(lambda days: TODAY - timedelta(days=days * days // 40)),
        st.sampled_from([("CT",), ("CT", "SR"), ("MR",), ("DX",), ("SR",)]),
        text=st.sampled_from(["", "Chest", "Chest AP", "chest", "Knee", "*", "Thorax^TAP (Adult)"]),
        moment=st.none() | st.times(),
        images=st.integers(1, 4),
    ),
    max_size=150,
    unique_by=lambda study: study["StudyInstanceUID"],
)
_archives = _studies | st.builds(hospital, st.integers(10, 200), st.integers(1, 40))
_TRUTH = {
    Subject.STUDY_DATE: "StudyDate",
    Subject.STUDY_TIME: "StudyTime",
    Subject.MODALITIES_IN_STUDY: "ModalitiesInStudy",
    Subject.STUDY_DESCRIPTION: "StudyDescription",
    Subject.INSTANCE_NUMBER: "InstanceNumber",
}


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(_archives, _habits)
def test_no_verdict_is_ever_wrong_whatever_the_pacs(studies: list[AnswerRow], habits: Habits) -> None:
    pacs = Pacs(studies=studies, habits=habits)
    profile = pacs.probed()
    assert profile.requests == len(pacs.asked) <= 12
    bad = habits.ignored | habits.refused | habits.leaves_out
    for subject, keyword in _TRUTH.items():
        verdict, evidence = profile.verdict(subject), profile.statement(subject).evidence
        if verdict is Verdict.HONOURED:
            assert keyword not in bad, evidence
        if verdict is Verdict.IGNORED:
            assert keyword in habits.ignored, evidence
    without = bad | habits.ignored_without_study
    for subject, others in (
        (Subject.SERIES_BY_DATE_AND_MODALITY, keys("StudyDate", "Modality")),
        (Subject.IMAGES_BY_DATE_AND_CLASS, keys("StudyDate", "SOPClassUID")),
    ):
        if profile.honours(subject):
            assert not others & without, profile.statement(subject).evidence
            assert "relational" not in habits.refused
    assert not (habits.literal_wildcards and profile.honours("wildcards"))
    assert profile.verdict("case") is not (Verdict.HONOURED if habits.any_case else Verdict.IGNORED)
    assert not ("lists" in habits.refused and (profile.honours("uid_lists") or profile.honours("series_of_studies")))
    assert Profile.from_json(profile.to_json()).to_json() == profile.to_json()


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(_studies, st.sampled_from([0, 1, 5, 30, 64]), st.booleans())
def test_no_cap_is_made_up(studies: list[AnswerRow], cap: int, says_so: bool) -> None:  # noqa: FBT001 - drawn
    profile = Pacs(studies=studies, habits=Habits(stops_at=cap, says_so=says_so)).probed()
    if profile.cap is not None:
        assert profile.cap == cap, profile.cap_evidence
    assert not cap or profile.most_answers <= cap


def test_the_node_of_these_tests_is_asked_until_today() -> None:
    pacs = Pacs(studies=[made_study(1, TODAY, ["CT"], moment=time(10))])
    pacs.probed(NODE)
    assert pacs.asked[0].request.value("StudyDate") == "20260624-20260630"
