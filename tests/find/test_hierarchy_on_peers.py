"""Queries asked level by level of real archives: the answer is what the files say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pydicom import Dataset, dcmread

from qrkit.dimse.association import associate
from qrkit.dimse.find import find, find_proposals
from qrkit.find.hierarchy import ask_by_level
from qrkit.find.parents import ROW
from qrkit.node import InformationModel, Node
from qrkit.query import Query, answer_keywords, build_query, identifier
from qrkit.query.filters import select
from qrkit.tables import Level, schema, unique_key
from tests.peers.peer import Archive

MODELS = pytest.mark.parametrize("model", [InformationModel.STUDY_ROOT, InformationModel.PATIENT_ROOT])
PEERS = pytest.mark.parametrize("peer", ["orthanc", "dcmqrscp"])


@pytest.fixture
def archive(peer: str, request: pytest.FixtureRequest) -> Archive:
    found: Archive = request.getfixturevalue(peer)
    return found


@pytest.fixture(scope="module")
def objects(samples: list[Path]) -> list[Dataset]:
    return [dcmread(path, stop_before_pixels=True) for path in samples]


def asked(archive: Archive, model: InformationModel, **given: object) -> pa.Table:
    """Ask over one association, and give the answer."""
    query: Query = build_query(today=date(2026, 2, 1), **given)
    node = Node(name="peer", host="127.0.0.1", port=archive.port, ae_title=archive.ae_title, information_model=model)
    flow = ask_by_level(query, model, select)
    with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
        step = next(flow)
        while True:
            answers = []
            for one in step:
                keywords = answer_keywords(one, model)
                batches = find(association, identifier(one, model), keywords, node=node)
                answers.append(pa.Table.from_batches(list(batches), schema(one.level, keywords)))
            try:
                step = flow.send(answers)
            except StopIteration as end:
                table: pa.Table = end.value.table
                return table


def held(objects: list[Dataset], level: Level, model: InformationModel, **wanted: str) -> set[str]:
    """The Unique Keys that the files have; under Patient Root nothing can be asked of a patient without PatientID."""
    return {
        str(one[unique_key(level)].value)
        for one in objects
        if all(str(one.get(keyword, "")) == value for keyword, value in wanted.items())
        and (one.PatientID or model is InformationModel.STUDY_ROOT)
    }


@pytest.mark.slow
@PEERS
@MODELS
@pytest.mark.parametrize("level", [Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE])
def test_the_whole_archive_is_found_at_each_level(
    archive: Archive, objects: list[Dataset], model: InformationModel, level: Level
) -> None:
    table = asked(archive, model, level=level)
    rows = list(zip(*(table[name].to_pylist() for name in ROW[level]), strict=True))
    assert len(set(rows)) == len(rows)
    assert {row[0] for row in rows} - {None} == held(objects, level, model) - {""}


@PEERS
@MODELS
def test_series_of_a_modality_are_found_with_the_columns_of_their_study(
    archive: Archive, objects: list[Dataset], model: InformationModel
) -> None:
    table = asked(archive, model, level="series", modalities="SR")
    assert set(table["SeriesInstanceUID"].to_pylist()) == held(objects, Level.SERIES, model, Modality="SR")
    # one study of the samples is that of two patients, so the row is compared with any of its objects
    columns = ("SeriesInstanceUID", "StudyInstanceUID", "StudyDate")
    in_files = {tuple(str(one.get(keyword, "")) for keyword in columns) for one in objects}
    patients = {(one.StudyInstanceUID, str(one.PatientID)) for one in objects}
    for row in table.to_pylist():
        assert (row["SeriesInstanceUID"], row["StudyInstanceUID"], f"{row['StudyDate']:%Y%m%d}") in in_files
        assert (row["StudyInstanceUID"], row["PatientID"] or "") in patients


@PEERS
def test_the_columns_of_studies_are_those_of_the_files(archive: Archive, objects: list[Dataset]) -> None:
    table = asked(archive, InformationModel.STUDY_ROOT, PatientName="OpenREM^*")
    by_study = {one.StudyInstanceUID: one for one in objects}
    assert table.num_rows == 4
    for row in table.to_pylist():
        one = by_study[row["StudyInstanceUID"]]
        assert row["PatientName"] == str(one.PatientName)
        assert f"{row['StudyDate']:%Y%m%d}" == one.StudyDate
        assert f"{row['StudyTime']:%H%M%S}" == one.StudyTime[:6]
        assert row["warnings"] is None


@PEERS
def test_studies_of_a_modality_are_found_even_if_the_archive_does_not_know_the_key(
    archive: Archive, objects: list[Dataset]
) -> None:
    table = asked(archive, InformationModel.STUDY_ROOT, modalities="MG")
    found = {row["StudyInstanceUID"]: row["ModalitiesInStudy"] for row in table.to_pylist()}
    wanted = held(objects, Level.STUDY, InformationModel.STUDY_ROOT, Modality="MG")
    assert wanted <= set(found)
    assert {uid for uid, modalities in found.items() if modalities} <= wanted
