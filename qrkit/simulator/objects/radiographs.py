"""Projection images: DX, CR, mammography, angiography and radiofluoroscopy (PS3.3 A)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrkit.simulator.hospital.facts import Kind
from qrkit.simulator.hospital.procedures import BREAST
from qrkit.simulator.objects import pixels
from qrkit.simulator.objects.composite import ObjectFacts, coded, composite
from qrkit.simulator.objects.dose import projection_events
from qrkit.simulator.objects.images import FIELD_OF_VIEW, general_image, image_pixels, noise_seed
from qrkit.simulator.objects.rdsr_projection import VIEWS

if TYPE_CHECKING:
    from qrkit.simulator.objects.dose import ProjectionEvent

    Elements = dict[str, Any]

_RUN_FRAMES = 3


def _exposure_of(facts: ObjectFacts) -> ProjectionEvent:
    """Return the exposure that belongs to an image; images beyond the last one share its numbers."""
    shots = [event for event in projection_events(facts) if not event.fluoroscopy]
    return shots[min(facts.instance.InstanceNumber, len(shots)) - 1]


def _technique(event: ProjectionEvent) -> Elements:
    """Return the X-ray acquisition attributes of an image (PS3.3 C.8.7.2)."""
    milliseconds = event.duration * 1000 / event.pulses
    return {
        "KVP": event.kvp,
        "XRayTubeCurrent": round(event.current),
        "ExposureTime": max(round(milliseconds), 1),
        "Exposure": max(round(event.current * milliseconds / 1000), 1),
        "ExposureInuAs": round(event.current * milliseconds),
        "DistanceSourceToDetector": 1100,
    }


def _digital(facts: ObjectFacts) -> Elements:
    """Return what DX and mammography share: DX Series, Image, Detector and Positioning (PS3.3 C.8.11)."""
    event = _exposure_of(facts)
    processing = facts.instance.kind is Kind.MG_PROCESSING
    spacing = FIELD_OF_VIEW / facts.matrix
    data = pixels.projection(facts.matrix, seed=noise_seed(facts), brightness=1200 if processing else 2400)
    elements = {
        "PresentationIntentType": "FOR PROCESSING" if processing else "FOR PRESENTATION",
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PatientOrientation": ["L", "F"],
        "ImageLaterality": event.laterality or "U",
        "AnatomicRegionSequence": [coded(facts.procedure.region)],
        "PixelIntensityRelationship": "LIN" if processing else "LOG",
        "PixelIntensityRelationshipSign": 1 if processing else -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "LossyImageCompression": "00",
        "PresentationLUTShape": "IDENTITY",
        "WindowCenter": 1400,
        "WindowWidth": 2400,
        "DetectorType": "SCINTILLATOR",
        "DetectorID": "1",
        "ImagerPixelSpacing": [spacing, spacing],
        "AcquisitionContextSequence": [],
        "ImageAndFluoroscopyAreaDoseProduct": event.dose_area_product * 1e5,  # in dGy.cm2
        "EntranceDoseInmGy": event.dose_rp * 1000,
        **_technique(event),
    }
    return composite(facts) | general_image(facts) | elements | image_pixels(facts, data)


def dx_image(facts: ObjectFacts) -> Elements:
    """Return a digital radiograph for presentation (PS3.3 A.26.3)."""
    return _digital(facts) | {"ViewPosition": "AP"}


def mg_image(facts: ObjectFacts) -> Elements:
    """Return a mammogram for presentation or for processing (PS3.3 A.27.3)."""
    event = _exposure_of(facts)
    return _digital(facts) | {
        "PositionerType": "MAMMOGRAPHIC",
        "PositionerPrimaryAngle": 45 if event.view == "MLO" else 0,
        "OrganExposed": "BREAST",
        "AnatomicRegionSequence": [coded(BREAST)],
        "ViewCodeSequence": [coded(VIEWS[event.view]) | {"ViewModifierCodeSequence": []}],
        "ViewPosition": event.view,
        "OrganDose": event.glandular_dose / 100,  # in dGy
        "AnodeTargetMaterial": "TUNGSTEN",
        "FilterMaterial": "RHODIUM",
        "CompressionForce": 110,
        "BodyPartThickness": round(30 + 15 * event.glandular_dose),
        "HalfValueLayer": 0.54,
        "BreastImplantPresent": "NO",
    }


def cr_image(facts: ObjectFacts) -> Elements:
    """Return a computed radiograph (PS3.3 A.2.3)."""
    event = _exposure_of(facts)
    spacing = FIELD_OF_VIEW / facts.matrix
    data = pixels.projection(facts.matrix, seed=noise_seed(facts))
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "ViewPosition": "AP",
        "ImagerPixelSpacing": [spacing, spacing],
        "PlateType": "ST-VI",
        "Sensitivity": 200,
        "WindowCenter": 1400,
        "WindowWidth": 2400,
        **_technique(event),
    }
    return composite(facts) | general_image(facts) | elements | image_pixels(facts, data)


def fluoroscopic_image(facts: ObjectFacts) -> Elements:
    """Return an angiographic or radiofluoroscopic run of a few frames (PS3.3 A.14.3, A.16.3)."""
    event = _exposure_of(facts)
    data = pixels.projection(facts.matrix, seed=noise_seed(facts), frames=_RUN_FRAMES)
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
        "PixelIntensityRelationship": "LIN",
        "RadiationSetting": "GR",
        "RadiationMode": "PULSED",
        "NumberOfFrames": _RUN_FRAMES,
        "FrameIncrementPointer": [0x00181063],
        "FrameTime": 133.3,
        "PatientPosition": "HFS",
        "ImageAndFluoroscopyAreaDoseProduct": event.dose_area_product * 1e5,  # in dGy.cm2
        "WindowCenter": 1400,
        "WindowWidth": 2400,
        **_technique(event),
    }
    if facts.instance.kind is Kind.XA_IMAGE:
        elements |= {
            "PositionerMotion": "STATIC",
            "PositionerPrimaryAngle": facts.rng().choice((-30, 0, 30)),
            "PositionerSecondaryAngle": facts.rng().choice((-20, 0, 25)),
        }
    return composite(facts) | general_image(facts) | elements | image_pixels(facts, data)
