"""The equipment of the simulated hospital, and of the places its imported studies come from."""

from __future__ import annotations

from qrkit.simulator.hospital.facts import Station

HOSPITAL = "St. Elsewhere Hospital"
OUTPATIENTS = "St. Elsewhere Outpatients"
ELSEWHERE = "Riverside Clinic"


def _station(name: str, manufacturer: str, model: str, institution: str = HOSPITAL) -> Station:
    serial = sum(ord(letter) * place for place, letter in enumerate(name + model, 1))
    return Station(
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
