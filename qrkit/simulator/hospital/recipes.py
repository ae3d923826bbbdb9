"""The kinds of studies in the simulated hospital: which procedures, equipment and series go together, and how often.

The variety is the one that dose selection must handle: Radiation Dose SR, dose in an Enhanced SR, dose only in
secondary captures, several SOP classes in one SR series, reports without dose, and studies without dose objects.
Doses are near the diagnostic reference levels of European surveys (for CT, CTDIvol in mGy and DLP in mGy.cm;
for projection X-ray the dose area product in Gy.cm2; for nuclear medicine the activity in MBq).
"""

from __future__ import annotations

from dataclasses import dataclass

from qrkit.simulator.facts import Code, Equipment, Kind, Procedure, Scan

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

CT_HEAD = Procedure("CT HEAD", "HEAD", HEAD, scans=(Scan("Head Routine", 48, 165, "sequenced"),), head_phantom=True)
CT_CHEST = Procedure("CT CHEST", "CHEST", CHEST, scans=(Scan("Thorax Routine", 6.5, 330),))
CT_ABDOMEN = Procedure(
    "CT ABDOMEN W CONTRAST",
    "ABDOMEN",
    ABDOMEN,
    scans=(
        Scan("Premonitoring", 0.8, 10, "stationary"),
        Scan("Monitoring", 3.2, 10, "stationary"),
        Scan("Abdomen Venous", 9.5, 440),
    ),
    contrast=True,
)
CT_TRUNK = Procedure(
    "CT THORAX ABDOMEN PELVIS",
    "CHESTABDPELVIS",
    TRUNK,
    scans=(Scan("Thorax Arterial", 7.0, 340), Scan("Abdomen Pelvis Venous", 9.0, 480)),
    contrast=True,
)
CT_PULMONARY = Procedure(
    "CT Angiography Pulmonary Arteries",
    "CHEST",
    CHEST,
    scans=(Scan("Monitoring", 2.4, 10, "stationary"), Scan("Pulmonary Embolism", 6.0, 300)),
    contrast=True,
)
CT_LUMBAR = Procedure("CT LUMBAR SPINE", "LSPINE", LUMBAR_SPINE, scans=(Scan("L-Spine", 18, 210),))
CT_CORONARY = Procedure(
    "CT CORONARY ANGIO",
    "HEART",
    HEART,
    scans=(Scan("Calcium Score", 2.5, 140, "sequenced"), Scan("Coronary CTA", 14, 150)),
    contrast=True,
)
CT_HEAD_IMPORTED = Procedure("imported CT HEAD", "HEAD", HEAD, scans=CT_HEAD.scans, head_phantom=True)
CT_ABDOMEN_IMPORTED = Procedure("imported CT ABDOMEN", "ABDOMEN", ABDOMEN, scans=CT_ABDOMEN.scans[2:])
CT_UNDESCRIBED = Procedure("", "CHEST", CHEST, scans=(Scan("Chest/Thorax", 7.2, 320),))
MR_BRAIN = Procedure("MR Brain", "BRAIN", BRAIN)
MR_KNEE = Procedure("MR Knee Left", "KNEE", KNEE)
MR_LUMBAR = Procedure("MR LUMBAR SPINE", "LSPINE", LUMBAR_SPINE)
US_ABDOMEN = Procedure("US Abdomen", "ABDOMEN", ABDOMEN)
OCT_CORONARY = Procedure("Intravascular OCT", "HEART", HEART)
MG_SCREENING = Procedure("Mammography Screening", "BREAST", BREAST, dose_area_product=0.9, exposures=4)
MG_DIAGNOSTIC = Procedure("MAMMOGRAPHY LEFT", "BREAST", BREAST, dose_area_product=0.5, exposures=2)
MG_IMPORTED = Procedure("imported Mammography", "BREAST", BREAST, dose_area_product=0.9, exposures=4)
DX_CHEST = Procedure("XR Chest", "CHEST", CHEST, dose_area_product=0.25, exposures=2)
DX_PELVIS = Procedure("XR Pelvis AP", "PELVIS", PELVIS, dose_area_product=1.9, exposures=1)
DX_HAND = Procedure("XR Hand Right", "HAND", HAND, dose_area_product=0.02, exposures=2)
DX_KNEE = Procedure("XR Knee", "KNEE", KNEE, dose_area_product=0.08, exposures=2)
DX_BEDSIDE = Procedure("XR Chest Bedside", "CHEST", CHEST, dose_area_product=0.12, exposures=1)
PX_JAW = Procedure("Panoramic Radiograph", "JAW", JAW, dose_area_product=0.08, exposures=1)
XA_CORONARY = Procedure("Coronary Angiography", "HEART", HEART, dose_area_product=28, exposures=6, fluoro_seconds=310)
XA_PERIPHERAL = Procedure("PTA Iliac Artery", "PELVIS", PELVIS, dose_area_product=45, exposures=5, fluoro_seconds=720)
RF_SWALLOW = Procedure(
    "RF Barium Swallow", "ESOPHAGUS", ESOPHAGUS, dose_area_product=8, exposures=3, fluoro_seconds=120
)
RF_THEATRE = Procedure(
    "Mobile Fluoroscopy Theatre", "EXTREMITY", KNEE, dose_area_product=0.6, exposures=1, fluoro_seconds=45
)
NM_BONE = Procedure("NM Bone Scan", "WHOLEBODY", ENTIRE_BODY, tracer="MDP", activity=600)
NM_THYROID = Procedure("NM Thyroid", "NECK", THYROID, tracer="pertechnetate", activity=75)
NM_PARATHYROID = Procedure(
    "NM SPECT CT Parathyroid",
    "NECK",
    NECK,
    scans=(Scan("SPECT-CT Low Dose", 2.2, 200),),
    tracer="sestamibi",
    activity=700,
)
PET_WHOLE_BODY = Procedure(
    "PET/CT Whole Body FDG",
    "WHOLEBODY",
    ENTIRE_BODY,
    scans=(Scan("PET WB Attenuation", 3.4, 980),),
    tracer="FDG",
    activity=290,
)
PET_BRAIN = Procedure(
    "PET/CT Brain FDG",
    "BRAIN",
    BRAIN,
    scans=(Scan("PET Brain Attenuation", 9.0, 180),),
    head_phantom=True,
    tracer="FDG",
    activity=180,
)


HOSPITAL = "St. Elsewhere Hospital"
OUTPATIENTS = "St. Elsewhere Outpatients"
ELSEWHERE = "Riverside Clinic"


def _station(name: str, manufacturer: str, model: str, institution: str = HOSPITAL) -> Equipment:
    serial = sum(ord(letter) * place for place, letter in enumerate(name + model, 1))
    return Equipment(
        StationName=name,
        Manufacturer=manufacturer,
        ManufacturerModelName=model,
        InstitutionName=institution,
        DeviceSerialNumber=str(10_000 + serial),
        SoftwareVersions="syngo CT VB20A" if "SOMATOM" in model else f"{1 + serial % 9}.{serial % 10}",
    )


CT_FORCE = _station("CTAWP73491", "SIEMENS", "SOMATOM Force")
CT_EDGE = _station("CTAWP60112", "SIEMENS", "SOMATOM Definition Edge", OUTPATIENTS)
CT_REVOLUTION = _station("CT99", "GE MEDICAL SYSTEMS", "Revolution CT")
CT_VCT = _station("vct1", "GE MEDICAL SYSTEMS", "LightSpeed VCT")
CT_BRILLIANCE = _station("PHILIPS-E71E3F0", "Philips", "Brilliance 16P", OUTPATIENTS)
CT_AQUILION = _station("AQONE", "TOSHIBA", "Aquilion ONE")
CT_ELSEWHERE = _station("RIVERCT", "Canon Medical Systems", "Aquilion Prime SP", ELSEWHERE)
CT_NAMELESS = _station("", "GE MEDICAL SYSTEMS", "Optima CT660", ELSEWHERE)
MR_SKYRA = _station("MRC40123", "SIEMENS", "Skyra")
MR_INGENIA = _station("INGENIA1", "Philips Medical Systems", "Ingenia", OUTPATIENTS)
MG_DIMENSIONS = _station("MAMMO1", "HOLOGIC, Inc.", "Selenia Dimensions")
MG_SENOGRAPHE = _station("SENO2", "GE MEDICAL SYSTEMS", "Senographe Essential", OUTPATIENTS)
DX_DISCOVERY = _station("XR220", "GE Healthcare", "Discovery XR656")
DX_CXDI = _station("CXDI-ROOM3", "Canon Inc.", "CXDI Controller RF")
DX_DRX = _station("DRX-EVO-2", "CARESTREAM HEALTH", "DRX-Evolution", OUTPATIENTS)
CR_CAPSULA = _station("FCR-1", "FUJIFILM Corporation", "CR-IR 359")
PX_NEWTOM = _station("NEWTOM", "NNT", "GO 2D", OUTPATIENTS)
XA_ARTIS = _station("AXIS01366", "SIEMENS", "AXIOM-Artis")
XA_AZURION = _station("AZURION7", "Philips Medical Systems", "Azurion 7 M20")
RF_LUMINOS = _station("FLUOROSPOT1", "SIEMENS", "Luminos dRF Max")
RF_PRECISION = _station("PRECISION", "GE Healthcare", "Precision 500D")
RF_ARCADIS = _station("VARIC-OR2", "SIEMENS", "ARCADIS Varic")
NM_SYMBIA = _station("SYMBIA1", "SIEMENS NM", "Symbia Intevo")
NM_INFINIA = _station("INFINIA", "GE MEDICAL SYSTEMS", "INFINIA")
PT_BIOGRAPH = _station("PETCT1", "SIEMENS", "Biograph Vision")
PT_DISCOVERY = _station("PETCT2", "GE MEDICAL SYSTEMS", "Discovery 710")
US_EPIQ = _station("EPIQ7-1", "Philips Medical Systems", "EPIQ 7G")
OCT_ILUMIEN = _station("ILUMIEN1", "St. Jude Medical", "ILUMIEN OPTIS")
REPORTING = _station("RIS01", "Example Reporting", "Structured Reporter")


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """One series of a recipe: its Modality, SeriesDescription, and how many of each kind of object."""

    Modality: str
    SeriesDescription: str
    contents: tuple[tuple[Kind, int, int], ...]
    """Kind, least and most objects."""
    share: float = 1.0
    """Part of the studies that have this series."""
    station: Equipment | None = None
    """Where it was made, if not at the study's station."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of study."""

    weight: int
    """How many of a hundred studies, roughly, are of this kind."""
    procedures: tuple[Procedure, ...]
    stations: tuple[Equipment, ...]
    series: tuple[SeriesPlan, ...]


def _plan(
    Modality: str, description: str, kind: Kind, low: int = 1, high: int = 1, *, share: float = 1.0
) -> SeriesPlan:
    return SeriesPlan(Modality, description, ((kind, low, high),), share)


_SCOUT = _plan("CT", "Topogram", Kind.CT_LOCALIZER, 1, 2)
_AXIAL = _plan("CT", "{protocol} 1.0 I31f", Kind.CT_IMAGE, 4, 12)
_CORONAL = _plan("CT", "{protocol} MPR cor", Kind.CT_IMAGE, 3, 6, share=0.5)
_KEY_IMAGES = _plan("KO", "Key Images", Kind.KEY_OBJECTS, share=0.15)
_STATES = _plan("PR", "Presentation States", Kind.PRESENTATION_STATE, 1, 2, share=0.15)
_CT_RDSR = _plan("SR", "Dose Report", Kind.RDSR)
_CT_SHEET = _plan("CT", "Dose Report", Kind.DOSE_SHEET)
_REPORT = SeriesPlan("SR", "Radiology Report", ((Kind.REPORT, 1, 1),), 1.0, REPORTING)
_FRONTAL = _plan("DX", "AP", Kind.DX_IMAGE, 1, 2)
_RDSR = _plan("SR", "Radiation Dose Information", Kind.RDSR)
_FLUORO = _plan("RF", "Fluoro", Kind.RF_IMAGE, 1, 3)
_RUNS = _plan("XA", "Coro LCA", Kind.XA_IMAGE, 2, 4)
_RRDSR = _plan("SR", "Radiopharmaceutical Dose", Kind.RRDSR)
_PET = _plan("PT", "PET WB AC", Kind.PET_IMAGE, 4, 8)
_PET_CT = _plan("CT", "CT WB 3.0 Br38f", Kind.CT_IMAGE, 3, 6)
_MR_SERIES = (
    _plan("MR", "localizer", Kind.MR_IMAGE, 3, 3),
    _plan("MR", "t1_tse_sag", Kind.MR_IMAGE, 3, 6),
    _plan("MR", "t2_tse_tra", Kind.MR_IMAGE, 4, 8),
    _STATES,
)
_VIEWS = _plan("MG", "Mammogram", Kind.MG_PRESENTATION, 4, 4)
_RAW_VIEWS = _plan("MG", "Mammogram raw", Kind.MG_PROCESSING, 4, 4, share=0.5)

_CT_ROUTINE = (CT_CHEST, CT_ABDOMEN, CT_HEAD, CT_TRUNK, CT_PULMONARY, CT_LUMBAR, CT_CORONARY)

RECIPES: tuple[Recipe, ...] = (
    # CT with a Radiation Dose SR
    Recipe(12, _CT_ROUTINE, (CT_FORCE, CT_EDGE), (_SCOUT, _AXIAL, _CORONAL, _CT_RDSR, _KEY_IMAGES, _STATES)),
    Recipe(6, _CT_ROUTINE, (CT_REVOLUTION,), (_SCOUT, _AXIAL, _CT_SHEET, _CT_RDSR)),
    Recipe(2, _CT_ROUTINE[:4], (CT_FORCE,), (_SCOUT, _AXIAL, _CT_RDSR, _REPORT)),
    # older CT with the dose in an Enhanced SR, alone and beside a Radiation Dose SR in the same series
    Recipe(
        3, (CT_HEAD, CT_CHEST, CT_ABDOMEN), (CT_VCT,), (_SCOUT, _AXIAL, _plan("SR", "Dose Record", Kind.ENHANCED_SR))
    ),
    Recipe(
        1,
        (CT_CHEST,),
        (CT_VCT,),
        (_SCOUT, _AXIAL, SeriesPlan("SR", "Dose Record", ((Kind.RDSR, 1, 1), (Kind.ENHANCED_SR, 1, 1)))),
    ),
    # CT with the dose in secondary captures: Philips, with and without series descriptions, and Toshiba
    Recipe(3, (CT_HEAD, CT_ABDOMEN), (CT_BRILLIANCE,), (_SCOUT, _AXIAL, _plan("CT", "Dose Info", Kind.DOSE_SHEET))),
    Recipe(
        1,
        (CT_UNDESCRIBED,),
        (CT_BRILLIANCE,),
        (_plan("CT", "", Kind.CT_IMAGE, 8, 12), _plan("CT", "", Kind.DOSE_SHEET)),
    ),
    Recipe(
        2,
        (CT_CHEST, CT_TRUNK),
        (CT_AQUILION,),
        (_SCOUT, _AXIAL, _plan("CT", "Patient Dose Summary", Kind.DOSE_SHEET, 1, 2)),
    ),
    # CT without dose objects, with a report that is none, and from elsewhere
    Recipe(1, (CT_HEAD,), (CT_AQUILION,), (_SCOUT, _AXIAL, _REPORT)),
    Recipe(2, (CT_HEAD_IMPORTED,), (CT_NAMELESS,), (_AXIAL,)),
    Recipe(1, (CT_ABDOMEN_IMPORTED,), (CT_ELSEWHERE,), (_SCOUT, _AXIAL, _CT_RDSR)),
    # only the dose report was archived
    Recipe(1, (CT_CHEST,), (CT_EDGE,), (_CT_RDSR, _plan("KO", "Key Images", Kind.KEY_OBJECTS))),
    # MR and ultrasound, which carry no dose; OCT, which is not CT
    Recipe(14, (MR_BRAIN, MR_KNEE, MR_LUMBAR), (MR_SKYRA, MR_INGENIA), _MR_SERIES),
    Recipe(1, (MR_BRAIN,), (MR_SKYRA,), (*_MR_SERIES, _REPORT)),
    Recipe(2, (US_ABDOMEN,), (US_EPIQ,), (_plan("US", "Abdomen", Kind.US_IMAGE, 3, 6),)),
    Recipe(1, (OCT_CORONARY,), (OCT_ILUMIEN,), (_plan("OCT", "Pullback", Kind.CAPTURE, 1, 2),)),
    # mammography
    Recipe(4, (MG_SCREENING, MG_DIAGNOSTIC), (MG_DIMENSIONS,), (_VIEWS, _RAW_VIEWS, _RDSR)),
    Recipe(3, (MG_SCREENING,), (MG_SENOGRAPHE,), (_VIEWS, _RAW_VIEWS)),
    Recipe(1, (MG_SCREENING,), (MG_DIMENSIONS,), (_VIEWS, _plan("SR", "Mammography CAD", Kind.CAD))),
    Recipe(1, (MG_IMPORTED,), (MG_SENOGRAPHE,), (_VIEWS,)),
    # radiography
    Recipe(
        8,
        (DX_CHEST, DX_PELVIS, DX_HAND, DX_KNEE),
        (DX_DISCOVERY, DX_DRX),
        (_FRONTAL, _plan("DX", "LAT", Kind.DX_IMAGE, share=0.5)),
    ),
    Recipe(4, (DX_CHEST, DX_PELVIS), (DX_CXDI,), (_FRONTAL, _RDSR)),
    Recipe(3, (DX_BEDSIDE, DX_HAND), (CR_CAPSULA,), (_plan("CR", "AP", Kind.CR_IMAGE, 1, 2), _STATES)),
    Recipe(1, (PX_JAW,), (PX_NEWTOM,), (_plan("PX", "Panoramic", Kind.DX_IMAGE),)),
    # fluoroscopy and angiography
    Recipe(4, (XA_CORONARY, XA_PERIPHERAL), (XA_ARTIS, XA_AZURION), (_RUNS, _RDSR)),
    Recipe(3, (RF_SWALLOW,), (RF_LUMINOS, RF_PRECISION), (_FLUORO, _RDSR)),
    Recipe(1, (RF_THEATRE,), (RF_ARCADIS,), (_FLUORO, _plan("SR", "Radiation Summary", Kind.ENHANCED_SR))),
    Recipe(1, (RF_THEATRE,), (RF_ARCADIS,), (_plan("XA", "Single Shots", Kind.XA_IMAGE, 1, 2),)),
    # nuclear medicine, SPECT/CT and PET/CT
    Recipe(3, (NM_BONE, NM_THYROID), (NM_SYMBIA,), (_plan("NM", "WB PLANAR", Kind.NM_IMAGE, 1, 2), _RRDSR)),
    Recipe(
        3,
        (NM_BONE, NM_THYROID),
        (NM_INFINIA,),
        (_plan("NM", "Static", Kind.NM_IMAGE, 1, 2), _plan("NM", "Processed", Kind.NM_IMAGE)),
    ),
    Recipe(1, (NM_PARATHYROID,), (NM_SYMBIA,), (_plan("NM", "SPECT", Kind.NM_IMAGE), _PET_CT, _CT_RDSR)),
    Recipe(3, (PET_WHOLE_BODY, PET_BRAIN), (PT_BIOGRAPH,), (_SCOUT, _PET_CT, _PET, _CT_RDSR, _RRDSR)),
    Recipe(1, (PET_WHOLE_BODY,), (PT_DISCOVERY,), (_SCOUT, _PET_CT, _PET, _CT_RDSR)),
    Recipe(1, (PET_WHOLE_BODY,), (PT_DISCOVERY,), (_PET_CT, _PET)),
)
"""All recipes; each run of as many studies as the sum of their weights contains every recipe."""

DECK: tuple[Recipe, ...] = tuple(recipe for recipe in RECIPES for _ in range(recipe.weight))
"""Each recipe, repeated by its weight."""
