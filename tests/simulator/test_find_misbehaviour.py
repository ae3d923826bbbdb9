"""Each quirk of C-FIND shows its effect: what a PACS may do to us, done."""

import time

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.waiting import wait_until
from tests.simulator.scu import (
    FIND,
    GET,
    STORAGE,
    Outcome,
    association,
    find,
    identifier,
)

MONTH = "20260601-20260630"


@pytest.fixture
def study(hospital: GeneratedHospital) -> Study:
    return next(study for study in map(hospital.study, range(50)) if study.NumberOfStudyRelatedInstances > 5)


def month(pacs: Simulator, **keys: str) -> Outcome:
    return find(pacs, "STUDY", StudyDate=MONTH, StudyInstanceUID="", model=FIND, **keys)


def test_keys_can_be_ignored(pacs: Simulator) -> None:
    everything = len(month(pacs).answers)
    pacs.quirks = Quirks(ignore_keys=("ModalitiesInStudy",))
    answers = month(pacs, ModalitiesInStudy="CT").answers
    assert len(answers) == everything
    assert all("ModalitiesInStudy" in answer for answer in answers)


def test_modalities_in_study_can_be_unknown(pacs: Simulator) -> None:
    everything = len(month(pacs).answers)
    pacs.quirks = Quirks(no_modalities_in_study=True)
    answers = month(pacs, ModalitiesInStudy="CT").answers
    assert len(answers) == everything
    assert not any("ModalitiesInStudy" in answer for answer in answers)


def test_keys_can_be_left_out_or_blank(pacs: Simulator) -> None:
    pacs.quirks = Quirks(omit_keys=("StudyDescription",), blank_keys=("PatientID",))
    for answer in month(pacs, StudyDescription="", PatientID="").answers:
        assert "StudyDescription" not in answer
        assert answer["PatientID"].is_empty


@pytest.mark.parametrize(("mode", "status"), [("silent", 0x0000), ("status", 0xA700)])
def test_answers_can_be_capped(pacs: Simulator, mode: str, status: int) -> None:
    pacs.quirks = Quirks(cap=7, cap_mode=mode)
    outcome = month(pacs)
    assert (len(outcome.answers), outcome.status) == (7, status)


def test_an_answer_as_large_as_the_cap_is_complete(pacs: Simulator) -> None:
    everything = len(month(pacs).answers)
    pacs.quirks = Quirks(cap=everything, cap_mode="status")
    outcome = month(pacs)
    assert (len(outcome.answers), outcome.status) == (everything, 0x0000)


def test_wildcards_can_be_ignored(pacs: Simulator) -> None:
    pacs.quirks = Quirks(ignore_wildcards=True)
    assert month(pacs, StudyDescription="CT*").answers == []
    assert month(pacs, StudyDescription="CT CHEST").answers


@pytest.mark.slow
def test_case_can_matter_or_not(pacs: Simulator) -> None:
    assert month(pacs, StudyDescription="ct chest").answers == []
    pacs.quirks = Quirks(case_sensitive=False)
    assert month(pacs, StudyDescription="ct chest").answers


def test_lists_of_uids_can_be_refused(pacs: Simulator, hospital: GeneratedHospital) -> None:
    pacs.quirks = Quirks(refuse_uid_lists=True)
    uids = [hospital.study(number).StudyInstanceUID for number in range(2)]
    assert find(pacs, "STUDY", StudyInstanceUID=uids).status == 0xA900
    assert len(find(pacs, "STUDY", StudyInstanceUID=uids[0]).answers) == 1


def test_relational_queries_can_be_refused(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(relational=False)
    outcome = find(pacs, "SERIES", StudyDate="20260602", SeriesInstanceUID="")
    assert (outcome.status, outcome.answers) == (0xA900, [])
    assert find(pacs, "SERIES", StudyInstanceUID=study.StudyInstanceUID, SeriesInstanceUID="").answers


@pytest.mark.slow
def test_answers_can_come_twice(pacs: Simulator) -> None:
    once = [answer.StudyInstanceUID for answer in month(pacs).answers]
    pacs.quirks = Quirks(duplicate_answers=True)
    assert [answer.StudyInstanceUID for answer in month(pacs).answers] == [uid for uid in once for _ in range(2)]


@pytest.mark.slow
def test_some_studies_can_lack_a_study_time(pacs: Simulator) -> None:
    everything = month(pacs).answers
    pacs.quirks = Quirks(no_study_time_share=0.3)
    answers = month(pacs, StudyTime="").answers
    without = [answer for answer in answers if answer["StudyTime"].is_empty]
    assert len(answers) == len(everything)
    assert 0.1 < len(without) / len(answers) < 0.5
    timed = month(pacs, StudyTime="000000-235959").answers
    assert len(timed) == len(everything) - len(without)


def test_the_images_of_a_modality_can_be_hidden(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = next(study for study in map(hospital.study, range(50)) if {"CT", "SR"} <= set(study.ModalitiesInStudy))
    pacs.quirks = Quirks(no_instances_of=("SR",))
    answers = find(pacs, "IMAGE", StudyInstanceUID=study.StudyInstanceUID, SOPClassUID="").answers
    assert answers
    assert not any(".88." in answer.SOPClassUID for answer in answers)


def test_a_find_can_fail_with_a_status_and_a_comment(pacs: Simulator) -> None:
    pacs.quirks = Quirks(find_status=0xC001, find_comment="database locked")
    outcome = month(pacs)
    assert (outcome.status, outcome.answers) == (0xC001, [])
    assert outcome.final.ErrorComment == "database locked"


def test_a_find_can_be_aborted_half_way(pacs: Simulator) -> None:
    pacs.quirks = Quirks(find_abort_after=5)
    outcome = month(pacs)
    assert len(outcome.answers) == 5
    assert outcome.status == -1


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [Quirks(find_hang=True), Quirks(retrieve_hang=True)])
def test_a_request_can_stay_unanswered(pacs: Simulator, study: Study, quirks: Quirks) -> None:
    pacs.quirks = quirks
    with association(pacs, [FIND, GET], storage=STORAGE) as opened:
        opened.dimse_timeout = 0.3
        if quirks.find_hang:
            responses = list(opened.send_c_find(identifier("STUDY", StudyInstanceUID=""), FIND))
        else:
            keys = identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID)
            responses = list(opened.send_c_get(keys, GET))
    assert responses == [(Dataset(), None)]
    wait_until(lambda: pacs.open_associations == 0)


@pytest.mark.slow
def test_answers_can_be_late(pacs: Simulator) -> None:
    pacs.quirks = Quirks(delay_first_response=0.1, delay_answer=0.01, delay_association=0.1)
    began = time.monotonic()
    outcome = find(pacs, "STUDY", StudyDate="20260602", StudyInstanceUID="")
    assert time.monotonic() - began >= 0.2 + 0.01 * (len(outcome.answers) - 1)


# Broken values


def test_integers_can_have_a_fraction(pacs: Simulator, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynetdicom._config.LOG_RESPONSE_IDENTIFIERS", False)  # it would decode the value
    pacs.quirks = Quirks(decimal_integers=True)
    keys = identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID, NumberOfStudyRelatedSeries="")
    with association(pacs, [FIND]) as opened:
        (_, answer), _ = list(opened.send_c_find(keys, FIND))
    assert answer.get_item("NumberOfStudyRelatedSeries").value.strip().endswith(b".0")


def test_modality_can_be_empty(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(missing_modality=True)
    answers = find(pacs, "SERIES", StudyInstanceUID=study.StudyInstanceUID, Modality="").answers
    assert answers
    assert all(answer["Modality"].is_empty for answer in answers)


def test_the_stated_character_set_can_be_wrong(pacs: Simulator) -> None:
    pacs.quirks = Quirks(wrong_charset=True)
    with association(pacs, [FIND]) as opened:
        keys = identifier("STUDY", PatientName="", StudyDate=MONTH)
        raw = [answer.get_item("PatientName").value for _, answer in opened.send_c_find(keys, FIND) if answer]
    assert any("ü" in name.decode("utf-8") or "山" in name.decode("utf-8") for name in raw)


def test_uids_can_be_invalid(pacs: Simulator, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    pacs.quirks = Quirks(invalid_uid=True)
    with association(pacs, [FIND]) as opened:
        keys = identifier("SERIES", StudyInstanceUID=study.StudyInstanceUID, SeriesInstanceUID="")
        answers = [answer for _, answer in opened.send_c_find(keys, FIND) if answer]
    assert answers
    raw = [str(answer.SeriesInstanceUID) for answer in answers]
    assert all(uid.startswith("2.25.0") for uid in raw)
    again = find(pacs, "SERIES", StudyInstanceUID=study.StudyInstanceUID, SeriesInstanceUID=raw[0])
    assert len(again.responses) == 2


def test_the_sop_class_can_be_missing(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(no_sop_class=True)
    (answer,) = find(pacs, "STUDY", StudyInstanceUID=study.StudyInstanceUID, SOPClassesInStudy="").answers
    assert "SOPClassesInStudy" not in answer
    images = find(pacs, "IMAGE", StudyInstanceUID=study.StudyInstanceUID, SOPClassUID="").answers
    assert images
    assert not any("SOPClassUID" in image for image in images)


def test_the_last_answers_can_be_left_out(pacs: Simulator) -> None:
    everything = len(month(pacs).answers)
    pacs.quirks = Quirks(hide_answers=2)
    assert len(month(pacs).answers) == everything - 2


def objects_counted(pacs: Simulator) -> list[int]:
    answers = month(pacs, NumberOfStudyRelatedInstances="").answers
    return [answer["NumberOfStudyRelatedInstances"].value for answer in answers]


def test_related_objects_can_be_counted_too_low(pacs: Simulator) -> None:
    honest = objects_counted(pacs)
    pacs.quirks = Quirks(count_less=1)
    assert objects_counted(pacs) == [max(number - 1, 0) for number in honest]
