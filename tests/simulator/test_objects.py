"""Every kind of object: readable, complete, and the same in every transfer syntax."""

from functools import lru_cache
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from qrkit.simulator import small_hospital
from qrkit.simulator.facts import Kind
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.simulator.objects.encoding import EXPLICIT_VR, IMPLICIT_VR, RLE_LOSSLESS
from tests.peers.dcmtk import run_dcmtk
from tests.simulator.made import Place
from tests.simulator.made import made as made_by

KINDS = [kind for kind in Kind if kind is not Kind.RECEIVED]

# Type 1 and 2 attributes of the modules that are mandatory for each IOD (PS3.3 annex A)
EVERY_OBJECT = (
    "SOPClassUID SOPInstanceUID PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate "
    "StudyTime ReferringPhysicianName StudyID AccessionNumber Modality SeriesInstanceUID SeriesNumber Manufacturer "
    "InstanceNumber"
)
PIXELS = (
    "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation "
    "PixelData"
)
PLANE = (
    "FrameOfReferenceUID PositionReferenceIndicator PixelSpacing ImageOrientationPatient ImagePositionPatient "
    "SliceThickness"
)
REPORT = (
    "ReferencedPerformedProcedureStepSequence CompletionFlag VerificationFlag ContentDate ContentTime "
    "PerformedProcedureCodeSequence ValueType ConceptNameCodeSequence ContinuityOfContent ContentSequence"
)
DIGITAL = (
    "PresentationIntentType ImageType PatientOrientation ImageLaterality AnatomicRegionSequence "
    "PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept RescaleSlope RescaleType "
    "PresentationLUTShape LossyImageCompression BurnedInAnnotation DetectorType ImagerPixelSpacing "
    "AcquisitionContextSequence"
)
RUN = (
    "ImageType PixelIntensityRelationship KVP RadiationSetting XRayTubeCurrent ExposureTime NumberOfFrames "
    "FrameIncrementPointer FrameTime"
)
CT = "ImageType RescaleIntercept RescaleSlope KVP AcquisitionNumber PatientPosition"
MG = "PositionerType OrganExposed ViewCodeSequence"
DOSE_REPORT = f"{REPORT} ManufacturerModelName DeviceSerialNumber SoftwareVersions ContentTemplateSequence"
REQUIRED = {
    Kind.CT_IMAGE: f"{PIXELS} {PLANE} {CT}",
    Kind.CT_LOCALIZER: f"{PIXELS} {PLANE} {CT}",
    Kind.MR_IMAGE: f"{PIXELS} {PLANE} ImageType ScanningSequence SequenceVariant ScanOptions MRAcquisitionType "
    "EchoTime EchoTrainLength PatientPosition",
    Kind.MG_PRESENTATION: f"{PIXELS} {DIGITAL} {MG}",
    Kind.MG_PROCESSING: f"{PIXELS} {DIGITAL} {MG}",
    Kind.DX_IMAGE: f"{PIXELS} {DIGITAL}",
    Kind.CR_IMAGE: f"{PIXELS} BodyPartExamined ViewPosition",
    Kind.XA_IMAGE: f"{PIXELS} {RUN} PositionerPrimaryAngle PositionerSecondaryAngle",
    Kind.RF_IMAGE: f"{PIXELS} {RUN}",
    Kind.NM_IMAGE: f"{PIXELS} ImageType NumberOfFrames FrameIncrementPointer EnergyWindowVector "
    "NumberOfEnergyWindows DetectorVector NumberOfDetectors PixelSpacing CountsAccumulated ActualFrameDuration "
    "EnergyWindowInformationSequence RadiopharmaceuticalInformationSequence DetectorInformationSequence "
    "PatientOrientationCodeSequence PatientGantryRelationshipCodeSequence",
    Kind.PET_IMAGE: f"{PIXELS} {PLANE} ImageType SeriesDate SeriesTime Units CountsSource SeriesType NumberOfSlices "
    "CorrectedImage DecayCorrection CollimatorType RadiopharmaceuticalInformationSequence RescaleIntercept "
    "RescaleSlope FrameReferenceTime ImageIndex AcquisitionDate AcquisitionTime ActualFrameDuration DecayFactor "
    "PatientOrientationCodeSequence PatientGantryRelationshipCodeSequence",
    Kind.US_IMAGE: f"{PIXELS} ImageType",
    Kind.DOSE_SHEET: f"{PIXELS} ConversionType CommentsOnRadiationDose",
    Kind.CAPTURE: f"{PIXELS} ConversionType",
    Kind.RDSR: DOSE_REPORT,
    Kind.ENHANCED_SR: REPORT,
    Kind.RRDSR: DOSE_REPORT,
    Kind.REPORT: REPORT,
    Kind.CAD: REPORT,
    Kind.KEY_OBJECTS: "ReferencedPerformedProcedureStepSequence ContentDate ContentTime ConceptNameCodeSequence "
    "ContentTemplateSequence ContentSequence CurrentRequestedProcedureEvidenceSequence",
    Kind.PRESENTATION_STATE: "PresentationCreationDate PresentationCreationTime ContentLabel ContentDescription "
    "ContentCreatorName ReferencedSeriesSequence DisplayedAreaSelectionSequence PresentationLUTShape",
}
MAY_BE_EMPTY = {
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "ScanOptions", "PositionReferenceIndicator",
    "AcquisitionContextSequence", "PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence",
    "ReferencedPerformedProcedureStepSequence", "PerformedProcedureCodeSequence", "ContentCreatorName",
}  # fmt: skip
"""Type 2, and empty in our objects."""


@lru_cache(maxsize=1)
def _hospital() -> GeneratedHospital:
    return small_hospital(seed=1)


@lru_cache(maxsize=1)
def _places() -> dict[Kind, list[Place]]:
    """Up to five instances of every kind, of different studies."""
    places: dict[Kind, list[Place]] = {kind: [] for kind in KINDS}
    for number in range(_hospital().size):
        study = _hospital().study(number)
        for series in study.series:
            for instance in series.instances[:2]:
                if len(places[instance.kind]) < 5:
                    places[instance.kind].append((study, series, instance))
    return places


def made(place: Place, transfer_syntax: str = EXPLICIT_VR) -> Dataset:
    return made_by(_hospital(), place, transfer_syntax)


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_has_the_attributes_its_iod_requires(kind: Kind) -> None:
    for place in _places()[kind]:
        data_set = made(place)
        for keyword in f"{EVERY_OBJECT} {REQUIRED[kind]}".split():
            assert keyword in data_set, keyword
            assert keyword in MAY_BE_EMPTY or not data_set[keyword].is_empty, keyword


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_agrees_with_the_facts(kind: Kind) -> None:
    for study, series, instance in _places()[kind]:
        data_set = made((study, series, instance))
        assert data_set.SOPClassUID == kind.sop_class == instance.SOPClassUID
        assert data_set.SOPInstanceUID == instance.SOPInstanceUID
        assert data_set.SeriesInstanceUID == series.SeriesInstanceUID
        assert data_set.StudyInstanceUID == study.StudyInstanceUID
        assert data_set.Modality == series.Modality
        assert str(data_set.PatientName) == study.patient.PatientName
        assert data_set.StudyDescription == study.StudyDescription


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_the_same_in_implicit_vr(kind: Kind) -> None:
    for place in _places()[kind]:
        explicit, implicit = made(place), made(place, IMPLICIT_VR)
        for data_set in (explicit, implicit):
            for element in data_set.iterall():  # every value can be decoded without a warning
                assert element.value is not None or element.is_empty
        assert explicit == implicit


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "PixelData" in REQUIRED[kind]])
def test_pixel_data_fits_the_image_and_survives_rle(kind: Kind) -> None:
    for place in _places()[kind][:2]:
        data_set = made(place)
        frames = int(data_set.get("NumberOfFrames", 1))
        assert len(data_set.PixelData) == data_set.Rows * data_set.Columns * frames * data_set.BitsAllocated // 8
        assert data_set.pixel_array.std() > 1
        assert data_set.pixel_array.max() < 1 << data_set.BitsStored
        assert (made(place, RLE_LOSSLESS).pixel_array == data_set.pixel_array).all()


def test_no_two_images_have_the_same_pixels() -> None:
    study, series, _ = _places()[Kind.CT_IMAGE][0]
    images = [made((study, series, instance)).PixelData for instance in series.instances]
    assert len(set(images)) == len(images)


def test_an_object_is_the_same_every_time() -> None:
    for place in (places[0] for places in _places().values()):
        assert _hospital().encoded(*place, EXPLICIT_VR) == small_hospital(seed=1).encoded(*place, EXPLICIT_VR)


def test_images_can_be_larger() -> None:
    place = _places()[Kind.CT_IMAGE][0]
    raw = small_hospital(seed=1, matrix=512).encoded(*place, EXPLICIT_VR)
    assert len(raw) > 512 * 512 * 2


def test_key_objects_and_presentation_states_refer_to_their_study() -> None:
    for study, series, instance in _places()[Kind.KEY_OBJECTS]:
        evidence = made((study, series, instance)).CurrentRequestedProcedureEvidenceSequence[0]
        assert evidence.StudyInstanceUID == study.StudyInstanceUID
    for study, series, instance in _places()[Kind.PRESENTATION_STATE]:
        referenced = made((study, series, instance)).ReferencedSeriesSequence[0].SeriesInstanceUID
        assert referenced in {one.SeriesInstanceUID for one in study.series}


def written(place: Place, folder: Path, transfer_syntax: str = EXPLICIT_VR) -> Path:
    path = folder / f"{place[2].kind.name}.{transfer_syntax}.dcm"
    made(place, transfer_syntax).save_as(path, enforce_file_format=True)
    return path


def test_dcmtk_reads_every_object_without_complaint(tmp_path: Path) -> None:
    paths = [written(places[0], tmp_path) for places in _places().values()]
    paths.append(written(_places()[Kind.CT_IMAGE][0], tmp_path, RLE_LOSSLESS))
    dumped = run_dcmtk("dcmdump", ["--load-all", "--search", "SOPInstanceUID", *paths], check=True)
    assert dumped.stdout.count("(0008,0018)") == len(paths)
    assert "W: " not in dumped.stdout
    assert "E: " not in dumped.stdout


def test_dcmtk_decompresses_the_rle_images(tmp_path: Path) -> None:
    plain = tmp_path / "plain.dcm"
    run_dcmtk("dcmdrle", [written(_places()[Kind.MR_IMAGE][0], tmp_path, RLE_LOSSLESS), plain], check=True)
    assert dcmread(plain).PixelData == made(_places()[Kind.MR_IMAGE][0]).PixelData
