"""Random switches of the simulated PACS against random queries and plans, in search of rows missing in silence.

Each answer is compared with that of a PACS that behaves. What it lacks must be told: the answer is not complete, or
one of its assumptions says what it rests on, or there is an error instead of an answer.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.servers import workspace
from qrkit.errors import NodeError
from qrkit.find.parents import canonical
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.tables import Level, unique_key
from qrkit.workspace import Workspace

DAYS = 12
STUDIES = 500

_CAPPED, _PLANS, _PROBED = 0.5, 0.2, 0.4
"""Shares of cases with a cap, of plans, and of nodes that are probed first."""

_KEYS = (
    "StudyDate",
    "StudyTime",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "ModalitiesInStudy",
    "Modality",
    "StudyDescription",
    "AccessionNumber",
    "StudyInstanceUID",
    "SeriesInstanceUID",
)
_RETURNED = (
    "SOPClassesInStudy",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    "StudyDescription",
    "StationName",
    "PatientBirthDate",
    "StudyTime",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One random question: the switches, whether the node is probed first, and what is asked."""

    number: int
    quirks: Quirks
    is_probed: bool
    model: str
    plan: bool
    what: dict[str, Any]

    def __str__(self) -> str:
        switches = {
            name: value
            for name in Quirks.descriptions()
            if (value := getattr(self.quirks, name)) != getattr(Quirks(), name)
        }
        return f"case {self.number}: {switches}, probed {self.is_probed}, {self.model}, {self.what}"


def quirks_of(chance: random.Random, *, plan: bool) -> Quirks:
    """Return some switches; plans leave out those that change the contents of the hospital."""
    makers: dict[str, Any] = {
        "cap": lambda: chance.randint(20, 80),
        "ignore_keys": lambda: tuple(chance.sample(_KEYS, chance.randint(1, 3))),
        "omit_keys": lambda: tuple(chance.sample(_RETURNED, chance.randint(1, 3))),
        "no_modalities_in_study": lambda: True,
        "ignore_wildcards": lambda: True,
        "case_sensitive": lambda: False,
        "refuse_uid_lists": lambda: True,
        "relational": lambda: False,
        "duplicate_answers": lambda: True,
        "find_abort_after": lambda: chance.randint(15, 60),
        "max_associations": lambda: chance.randint(1, 2),
        "congested_at_first": lambda: 1,
        "odd_negotiation": lambda: True,
        "no_release_answer": lambda: True,
        "pdu_length": lambda: chance.choice([1_000, 300_000, 1_048_576]),
        "wrong_flags": lambda: True,
        "decimal_integers": lambda: True,
        "wrong_charset": lambda: True,
        "named_charset": lambda: chance.choice(["none", "ISO_IR 100", "ISO 2022 IR 192", "GB2312", "KLINGON"]),
    }
    if not plan:
        makers |= {
            "blank_keys": lambda: tuple(chance.sample(_RETURNED, chance.randint(1, 3))),
            "no_study_time_share": lambda: chance.choice([0.05, 0.5, 1.0]),
            "missing_modality": lambda: True,
            "invalid_uid": lambda: True,
            "no_instances_of": lambda: (chance.choice(["CT", "SR", "MR"]),),
            "no_sop_class": lambda: True,
        }
    chosen = {name: makers[name]() for name in chance.sample(sorted(makers), chance.randint(1, 4))}
    if chance.random() < 0.5:
        chosen["cap"] = makers["cap"]()
    if "cap" in chosen:
        chosen["cap_mode"] = chance.choice(["silent", "status"])
    return Quirks(**chosen)


def question_of(chance: random.Random, hospital: GeneratedHospital, *, model: str) -> dict[str, Any]:
    """Return a query at any level; what is below studies is asked of few days."""
    last = hospital.days[1]
    level = chance.choices(["STUDY", "SERIES", "IMAGE", "PATIENT"], [6, 2, 1, 1])[0]
    study = hospital.study(chance.randrange(hospital.size))
    what: dict[str, Any] = {"level": level}
    if not (level == "PATIENT" and model == "patient-root") and (level != "STUDY" or chance.random() < 0.7):
        begin = chance.randrange(DAYS)
        length = {"STUDY": chance.randrange(DAYS), "SERIES": chance.randrange(3), "IMAGE": 0}.get(level, DAYS)
        what["date"] = (last - timedelta(days=begin), last - timedelta(days=max(begin - length, 0)))
    family = study.patient.PatientName.partition("^")[0]
    extras: dict[str, Any] = {
        "patient_id": lambda: chance.choice([study.patient.PatientID, study.patient.PatientID[:-1] + "*", "Q10*"]),
        "patient_name": lambda: chance.choice([family[:1] + "*", family.lower() + "^*", study.patient.PatientName]),
    }
    if level != "PATIENT":
        extras |= {
            "modalities": lambda: chance.sample(["CT", "MR", "MG", "SR", "PT", "DX", "US"], chance.randint(1, 3)),
            "accession": lambda: study.AccessionNumber,
            "StudyDescription": lambda: chance.choice([study.StudyDescription, study.StudyDescription[:3] + "*"]),
            "description_include": lambda: "ct,thorax",
            "description_exclude": lambda: "ct",
            "study_uid": lambda: [
                hospital.study(number).StudyInstanceUID for number in chance.sample(range(hospital.size), 7)
            ],
        }
    for name in chance.sample(sorted(extras), chance.choice([0, 0, 1, 1, 2])):
        what[name] = extras[name]()
    if what.get("date") and what["date"][0] == what["date"][1] and chance.random() < 0.3:
        what["time"] = ("0800", "1400")
    return what


def plan_of(chance: random.Random, hospital: GeneratedHospital) -> dict[str, Any]:
    """Return a dose plan of some days."""
    last = hospital.days[1]
    what: dict[str, Any] = {"date": (last - timedelta(days=chance.randrange(DAYS)), last)}
    if chance.random() < 0.2:
        what["sr_only"] = True
    else:
        what["dose"] = chance.sample(["CT", "MG", "FL", "DX", "NM"], chance.randint(1, 3))
    for name in ("toshiba", "empty_sr"):
        what[name] = chance.random() < 0.3
    return what | {"refetch": True}


def case_of(seed: str, number: int, hospital: GeneratedHospital) -> Case:
    """Return the case of a number, always the same."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - no secret, but the same each time
    plan = chance.random() < _PLANS
    model = chance.choice(["study-root", "study-root", "patient-root"])
    what = plan_of(chance, hospital) if plan else question_of(chance, hospital, model=model)
    quirks = quirks_of(chance, plan=plan)
    if what.get("time"):  # what has no StudyTime is in no range of times, at any PACS
        quirks = replace(quirks, no_study_time_share=0.0)
    return Case(number=number, quirks=quirks, is_probed=chance.random() < _PROBED, model=model, plan=plan, what=what)


def asked(opened: Workspace, node: str, case: Case) -> tuple[set[Any], dict[str, Any]]:
    """Return the rows by their unique keys, and the coverage."""
    if case.plan:
        plan = opened.plan(node, **case.what)
        kept = {
            (study["group"], series["SeriesInstanceUID"], series["level"], *series["instances"])
            for study in plan.to_json()["studies"]
            for series in study["series"]
            if series["keep"]
        }
        return kept, {**plan.coverage, "assumptions": list(plan.notes)}
    frame = opened.find(node, **case.what)
    level = Level.parse(case.what["level"])
    uids = frame[unique_key(level)].dropna()
    return {canonical(uid) if level is not Level.PATIENT else uid for uid in uids}, frame.attrs["qrkit"]["coverage"]


def judge(opened: Workspace, case: Case) -> tuple[str, str]:
    """Return the outcome of a case: a word, and for a fault its description."""
    expected, _ = asked(opened, f"honest{case.number}", case)
    try:
        if case.is_probed:
            opened.probe(f"odd{case.number}")
        came, coverage = asked(opened, f"odd{case.number}", case)
    except NodeError as error:
        return f"error {type(error).__name__}", str(error)
    except Exception as error:  # noqa: BLE001 - an error of ours is what is hunted; the hunt goes on
        return "EXCEPTION", repr(error)
    return compared(expected, came, coverage)


def compared(expected: set[Any], came: set[Any], coverage: dict[str, Any]) -> tuple[str, str]:
    """Return in a word how an answer compares with that of a PACS that behaves, and for a fault what it is."""
    missing, more = expected - came, came - expected
    if not coverage["complete"]:
        return ("missing, and reported" if missing else "all, unproven"), ""
    if missing and coverage.get("assumptions"):
        return "MISSING, except what was assumed", f"{len(missing)} of {len(expected)}: {coverage['assumptions']}"
    if missing:
        return "MISSING", f"{len(missing)} of {len(expected)}"
    if more and "filters" in coverage and not any(one["blank_kept"] for one in coverage["filters"]):
        return "MORE", f"{len(more)} beyond {len(expected)}"
    return "all, complete", ""


def measure(folder: Path, *, seed: str, seconds: float, first: int = 0) -> Iterator[str]:
    """Judge cases until the time is over: a line for each fault, then the number of each outcome."""
    hospital = small_hospital(seed=1, studies=STUDIES, days=DAYS)
    until = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    number = first
    with Simulator(hospital) as honest, Simulator(hospital) as odd, workspace(folder / "w") as opened:
        while time.monotonic() < until:
            case = case_of(seed, number, hospital)
            for name, pacs in (("honest", honest), ("odd", odd)):
                opened.nodes.add(
                    f"{name}{number}",
                    host=pacs.host,
                    port=pacs.port,
                    ae_title=pacs.ae_title,
                    information_model=case.model,
                    associations=1 + number % 3,
                )
            odd.quirks = case.quirks
            word, fault = judge(opened, case)
            counts[word] += 1
            if fault:
                yield f"{word} ({fault}): {case}"
            number += 1
    told = "; ".join(f"{word} {count}" for word, count in counts.most_common())
    yield f"{number - first} cases of seed {seed}: {told}"
