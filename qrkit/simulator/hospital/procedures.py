"""Examinations: study descriptions, body regions and typical doses.

Doses are near the diagnostic reference levels of European surveys (for CT, CTDIvol in mGy and DLP in mGy.cm;
for projection X-ray the dose area product in Gy.cm2; for nuclear medicine the activity in MBq).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme and meaning (PS3.16)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One CT scan of a procedure."""

    protocol: str
    ctdi: float
    """Mean CTDIvol in mGy."""
    length: float
    """Scanned length in mm."""
    acquisition: str = "spiral"
    """spiral, sequenced or stationary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """One kind of examination."""

    description: str
    body_part: str
    """BodyPartExamined (PS3.16 annex L)."""
    region: Code
    """Target region."""
    scans: tuple[Scan, ...] = ()
    head_phantom: bool = False
    contrast: bool = False
    dose_area_product: float = 0.0
    """Gy.cm2, of the whole examination."""
    exposures: int = 1
    """Images (radiography, mammography) or acquisition runs (fluoroscopy)."""
    fluoro_seconds: float = 0.0
    tracer: str = ""
    """Key into `rrdsr.TRACERS`."""
    activity: float = 0.0
    """Administered activity in MBq."""


HEAD = Code("69536005", "SCT", "Head")
CHEST = Code("51185008", "SCT", "Chest")
ABDOMEN = Code("818981001", "SCT", "Abdomen")
PELVIS = Code("816092008", "SCT", "Pelvis")
TRUNK = Code("416775004", "SCT", "Chest, Abdomen and Pelvis")
LUMBAR_SPINE = Code("122496007", "SCT", "Lumbar spine")
HEART = Code("80891009", "SCT", "Heart")
BREAST = Code("76752008", "SCT", "Breast")
HAND = Code("85562004", "SCT", "Hand")
KNEE = Code("72696002", "SCT", "Knee")
JAW = Code("661005", "SCT", "Jaw region")
ENTIRE_BODY = Code("38266002", "SCT", "Entire body")
THYROID = Code("69748006", "SCT", "Thyroid")
BRAIN = Code("12738006", "SCT", "Brain")
ESOPHAGUS = Code("32849002", "SCT", "Esophagus")
NECK = Code("45048000", "SCT", "Neck")

CT_HEAD = Procedure(
    description="CT HEAD",
    body_part="HEAD",
    region=HEAD,
    scans=(Scan(protocol="Head Routine", ctdi=48, length=165, acquisition="sequenced"),),
    head_phantom=True,
)
CT_CHEST = Procedure(
    description="CT CHEST",
    body_part="CHEST",
    region=CHEST,
    scans=(Scan(protocol="Thorax Routine", ctdi=6.5, length=330),),
)
CT_ABDOMEN = Procedure(
    description="CT ABDOMEN W CONTRAST",
    body_part="ABDOMEN",
    region=ABDOMEN,
    scans=(
        Scan(protocol="Premonitoring", ctdi=0.8, length=10, acquisition="stationary"),
        Scan(protocol="Monitoring", ctdi=3.2, length=10, acquisition="stationary"),
        Scan(protocol="Abdomen Venous", ctdi=9.5, length=440),
    ),
    contrast=True,
)
CT_TRUNK = Procedure(
    description="CT THORAX ABDOMEN PELVIS",
    body_part="CHESTABDPELVIS",
    region=TRUNK,
    scans=(
        Scan(protocol="Thorax Arterial", ctdi=7.0, length=340),
        Scan(protocol="Abdomen Pelvis Venous", ctdi=9.0, length=480),
    ),
    contrast=True,
)
CT_PULMONARY = Procedure(
    description="CT Angiography Pulmonary Arteries",
    body_part="CHEST",
    region=CHEST,
    scans=(
        Scan(protocol="Monitoring", ctdi=2.4, length=10, acquisition="stationary"),
        Scan(protocol="Pulmonary Embolism", ctdi=6.0, length=300),
    ),
    contrast=True,
)
CT_LUMBAR = Procedure(
    description="CT LUMBAR SPINE",
    body_part="LSPINE",
    region=LUMBAR_SPINE,
    scans=(Scan(protocol="L-Spine", ctdi=18, length=210),),
)
CT_CORONARY = Procedure(
    description="CT CORONARY ANGIO",
    body_part="HEART",
    region=HEART,
    scans=(
        Scan(protocol="Calcium Score", ctdi=2.5, length=140, acquisition="sequenced"),
        Scan(protocol="Coronary CTA", ctdi=14, length=150),
    ),
    contrast=True,
)
CT_HEAD_IMPORTED = Procedure(
    description="imported CT HEAD", body_part="HEAD", region=HEAD, scans=CT_HEAD.scans, head_phantom=True
)
CT_ABDOMEN_IMPORTED = Procedure(
    description="imported CT ABDOMEN", body_part="ABDOMEN", region=ABDOMEN, scans=CT_ABDOMEN.scans[2:]
)
CT_UNDESCRIBED = Procedure(
    description="", body_part="CHEST", region=CHEST, scans=(Scan(protocol="Chest/Thorax", ctdi=7.2, length=320),)
)

MR_BRAIN = Procedure(description="MR Brain", body_part="BRAIN", region=BRAIN)
MR_KNEE = Procedure(description="MR Knee Left", body_part="KNEE", region=KNEE)
MR_LUMBAR = Procedure(description="MR LUMBAR SPINE", body_part="LSPINE", region=LUMBAR_SPINE)
US_ABDOMEN = Procedure(description="US Abdomen", body_part="ABDOMEN", region=ABDOMEN)
OCT_CORONARY = Procedure(description="Intravascular OCT", body_part="HEART", region=HEART)

MG_SCREENING = Procedure(
    description="Mammography Screening", body_part="BREAST", region=BREAST, dose_area_product=0.9, exposures=4
)
MG_DIAGNOSTIC = Procedure(
    description="MAMMOGRAPHY LEFT", body_part="BREAST", region=BREAST, dose_area_product=0.5, exposures=2
)
MG_IMPORTED = Procedure(
    description="imported Mammography", body_part="BREAST", region=BREAST, dose_area_product=0.9, exposures=4
)

DX_CHEST = Procedure(description="XR Chest", body_part="CHEST", region=CHEST, dose_area_product=0.25, exposures=2)
DX_PELVIS = Procedure(
    description="XR Pelvis AP", body_part="PELVIS", region=PELVIS, dose_area_product=1.9, exposures=1
)
DX_HAND = Procedure(description="XR Hand Right", body_part="HAND", region=HAND, dose_area_product=0.02, exposures=2)
DX_KNEE = Procedure(description="XR Knee", body_part="KNEE", region=KNEE, dose_area_product=0.08, exposures=2)
DX_BEDSIDE = Procedure(
    description="XR Chest Bedside", body_part="CHEST", region=CHEST, dose_area_product=0.12, exposures=1
)
PX_JAW = Procedure(
    description="Panoramic Radiograph", body_part="JAW", region=JAW, dose_area_product=0.08, exposures=1
)

XA_CORONARY = Procedure(
    description="Coronary Angiography",
    body_part="HEART",
    region=HEART,
    dose_area_product=28,
    exposures=6,
    fluoro_seconds=310,
)
XA_PERIPHERAL = Procedure(
    description="PTA Iliac Artery",
    body_part="PELVIS",
    region=PELVIS,
    dose_area_product=45,
    exposures=5,
    fluoro_seconds=720,
)
RF_SWALLOW = Procedure(
    description="RF Barium Swallow",
    body_part="ESOPHAGUS",
    region=ESOPHAGUS,
    dose_area_product=8,
    exposures=3,
    fluoro_seconds=120,
)
RF_THEATRE = Procedure(
    description="Mobile Fluoroscopy Theatre",
    body_part="EXTREMITY",
    region=KNEE,
    dose_area_product=0.6,
    exposures=1,
    fluoro_seconds=45,
)

NM_BONE = Procedure(description="NM Bone Scan", body_part="WHOLEBODY", region=ENTIRE_BODY, tracer="MDP", activity=600)
NM_THYROID = Procedure(
    description="NM Thyroid", body_part="NECK", region=THYROID, tracer="pertechnetate", activity=75
)
NM_PARATHYROID = Procedure(
    description="NM SPECT CT Parathyroid",
    body_part="NECK",
    region=NECK,
    scans=(Scan(protocol="SPECT-CT Low Dose", ctdi=2.2, length=200),),
    tracer="sestamibi",
    activity=700,
)
PET_WHOLE_BODY = Procedure(
    description="PET/CT Whole Body FDG",
    body_part="WHOLEBODY",
    region=ENTIRE_BODY,
    scans=(Scan(protocol="PET WB Attenuation", ctdi=3.4, length=980),),
    tracer="FDG",
    activity=290,
)
PET_BRAIN = Procedure(
    description="PET/CT Brain FDG",
    body_part="BRAIN",
    region=BRAIN,
    scans=(Scan(protocol="PET Brain Attenuation", ctdi=9.0, length=180),),
    head_phantom=True,
    tracer="FDG",
    activity=180,
)
