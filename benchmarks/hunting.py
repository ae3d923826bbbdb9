"""Switches of the simulated PACS against random queries and plans, in search of rows missing in silence.

Each answer is compared with that of a PACS that behaves. What it lacks must be told: the answer is not complete, or
one of its assumptions says what it rests on, or there is an error instead of an answer.
"""

from __future__ import annotations

import logging
import random
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.servers import workspace
from benchmarks.switches import FIND, described, names_of, quirks_of
from qrkit.errors import NodeError, QrkitError
from qrkit.find.parents import canonical
from qrkit.jobs import RetrieveRequest
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.tables import Level, unique_key
from qrkit.workspace import Workspace

DAYS = 8
STUDIES = 160
TIMEOUTS = {"connect": 5.0, "association": 4.0, "response": 4.0, "inactivity": 3.0, "query": 20.0}
LIMIT = 90.0
"""Seconds after which a case counts as one that hangs."""

_PLANS, _PROBED = 0.25, 0.4
"""Shares of plans, and of nodes that are probed first."""
_AT_ONCE = 4
_ALONE = 4
"""Cases of each switch alone."""


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
        asked = "plan" if self.plan else "find"
        probed = "probed" if self.is_probed else "not probed"
        return f"case {self.number}: {described(self.quirks)}; {probed}, {self.model}, {asked} {self.what}"


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
            "accession": lambda: study.AccessionNumber or "A*",
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


def case_of(seed: str, number: int, hospital: GeneratedHospital, *, systematic: bool = True) -> Case:
    """Return the case of a number, always the same."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - no secret, but the same each time
    plan = chance.random() < _PLANS
    model = chance.choices(["study-root", "patient-root"], [6, 1])[0]
    what = plan_of(chance, hospital) if plan else question_of(chance, hospital, model=model)
    names = names_of(FIND, number + (0 if systematic else 1_000_000), seed, times=_ALONE)
    quirks = quirks_of(names, chance)
    if what.get("time"):  # what has no StudyTime is in no range of times, at any PACS
        quirks = replace(quirks, no_study_time_share=0.0)
    return Case(number=number, quirks=quirks, is_probed=chance.random() < _PROBED, model=model, plan=plan, what=what)


class Truth:
    """The objects and studies of a hospital, by canonical UIDs."""

    def __init__(self, hospital: GeneratedHospital) -> None:
        self.hospital = hospital
        studies = [hospital.study(number) for number in range(hospital.size)]
        self.objects: dict[str, frozenset[str]] = {}
        self.parent: dict[str, str] = {}  # the study of each series and object
        for study in studies:
            all_objects: set[str] = set()
            for series in study.series:
                uids = frozenset(canonical(one.SOPInstanceUID) for one in series.instances)
                self.objects[canonical(series.SeriesInstanceUID)] = uids
                all_objects |= uids
                for uid in (canonical(series.SeriesInstanceUID), *uids):
                    self.parent[uid] = canonical(study.StudyInstanceUID)
            self.objects[canonical(study.StudyInstanceUID)] = frozenset(all_objects)

    def requested(self, request: RetrieveRequest) -> Iterable[str]:
        """Return the objects that a request of a plan retrieves."""
        if request.level is Level.IMAGE:
            return map(canonical, request.sop_instance_uids)
        uid = request.SeriesInstanceUID if request.level is Level.SERIES else request.StudyInstanceUID
        return self.objects[canonical(uid)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The rows by their unique keys, or the objects of a plan; the coverage; the rows that have no unique key."""

    rows: frozenset[str]
    coverage: dict[str, Any]
    nameless: int = 0


def asked(opened: Workspace, node: str, case: Case, truth: Truth) -> Answer:
    """Ask what a case asks."""
    if case.plan:
        plan = opened.plan(node, **case.what)
        objects = frozenset(uid for request in plan.requests() for uid in truth.requested(request))
        return Answer(rows=objects, coverage={**plan.coverage, "assumptions": list(plan.notes)})
    frame = opened.find(node, **case.what)
    level = Level.parse(case.what["level"])
    uids = frame[unique_key(level)].dropna()
    rows = frozenset(canonical(uid) if level is not Level.PATIENT else uid for uid in uids)
    return Answer(rows=rows, coverage=frame.attrs["qrkit"]["coverage"], nameless=len(frame) - len(uids))


def judge(opened: Workspace, case: Case, truth: Truth) -> tuple[str, str]:
    """Return the outcome of a case: a word, and for a fault its description."""
    expected = asked(opened, f"honest{case.number}", case, truth)
    try:
        if case.is_probed:
            opened.probe(f"odd{case.number}")
        came = asked(opened, f"odd{case.number}", case, truth)
    except QrkitError as error:
        return f"error {type(error).__name__}", "" if isinstance(error, NodeError) else repr(error)
    return compared(case, expected, came, truth)


def compared(case: Case, expected: Answer, came: Answer, truth: Truth) -> tuple[str, str]:
    """Return in a word how an answer compares with that of a PACS that behaves, and for a fault what it is."""
    missing, more = expected.rows - came.rows, came.rows - expected.rows
    if case.quirks.hide_answers:  # what no level above counts cannot be missed
        shown = {truth.parent.get(uid) for uid in came.rows} - {None}
        missing = frozenset(uid for uid in missing if truth.parent.get(uid) in shown)
    if not came.coverage["complete"]:
        return ("missing, and reported" if missing else "all, unproven"), ""
    if missing and len(missing) <= came.nameless:
        return "all, some without a unique key", ""
    if missing and came.coverage.get("assumptions"):
        told = f"{len(missing)} of {len(expected.rows)}: {came.coverage['assumptions']}"
        return "MISSING, except what was assumed", told
    if missing:
        return "MISSING", f"{len(missing)} of {len(expected.rows)}"
    if more and not case.plan and not any(one["blank_kept"] for one in came.coverage["filters"]):
        return "MORE", f"{len(more)} beyond {len(expected.rows)}"
    return "all, complete", ""


def bounded(work: Callable[[], tuple[str, str]], limit: float) -> tuple[str, str]:
    """Return what work ends with; as faults also a traceback, and that it takes longer than some seconds."""
    ended: list[tuple[str, str]] = []

    def run() -> None:
        try:
            ended.append(work())
        except Exception:  # noqa: BLE001 - what is hunted; the hunt goes on
            ended.append(("EXCEPTION", traceback.format_exc()))

    thread = threading.Thread(target=run, name="hunted", daemon=True)
    begun = time.monotonic()
    thread.start()
    thread.join(limit)
    if ended:
        return ended[0]
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, in spite of its name
    where = "".join(traceback.format_stack(frame)) if frame is not None else ""
    thread.join(10 * limit)
    state = f"ended after {time.monotonic() - begun:.0f} s: {ended[0]}" if ended else "did not end"
    return "HANG", f"{state}\n{where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """Which cases are judged: of a seed, from a number, until the time is over."""

    seed: str
    seconds: float
    first: int = 0
    most: int = sys.maxsize
    systematic: bool = True


def measure(folder: Path, hunt: Hunt) -> Iterator[str]:
    """Judge queries and plans: a line for each fault, then the number of each outcome."""
    hospital = small_hospital(seed=1, studies=STUDIES, days=DAYS)
    truth = Truth(hospital)
    until = time.monotonic() + hunt.seconds
    counts: Counter[str] = Counter()
    number = hunt.first
    with Simulator(hospital) as honest, workspace(folder / "w") as opened, errors_are_faults() as logged:
        while time.monotonic() < until and number < hunt.first + hunt.most:
            some = range(number, min(number + _AT_ONCE, hunt.first + hunt.most))
            cases = [case_of(hunt.seed, one, hospital, systematic=hunt.systematic) for one in some]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                judged = list(pool.map(partial(_judged, opened, honest, truth), cases))
            counts.update(word for word, _ in judged)
            yield from (
                f"{word} ({fault}): {case}" for case, (word, fault) in zip(cases, judged, strict=True) if fault
            )
            while logged:
                yield f"LOGGED ({logged.pop(0)}): one of the cases {some}"
            number += len(some)
    told = "; ".join(f"{word} {count}" for word, count in counts.most_common())
    yield f"{number - hunt.first} queries and plans of seed {hunt.seed}: {told}"


def _judged(opened: Workspace, honest: Simulator, truth: Truth, case: Case) -> tuple[str, str]:
    with Simulator(truth.hospital, quirks=case.quirks) as odd:
        for name, pacs, waits in (("honest", honest, {}), ("odd", odd, TIMEOUTS)):
            opened.nodes.add(
                f"{name}{case.number}",
                host=pacs.host,
                port=pacs.port,
                ae_title=pacs.ae_title,
                information_model=case.model,
                associations=1 + case.number % 3,
                timeouts=waits,
            )
        return bounded(partial(judge, opened, case, truth), LIMIT)


class _Faults(logging.Handler):
    """Keeps the tracebacks that are logged."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._kept.append(self.format(record))


@contextmanager
def errors_are_faults() -> Iterator[list[str]]:
    """Collect tracebacks of threads and of the log; warnings are errors meanwhile."""
    kept: list[str] = []
    handler, hook = _Faults(kept), threading.excepthook
    logging.getLogger().addHandler(handler)
    threading.excepthook = lambda arguments: kept.append(
        "".join(traceback.format_exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback))
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield kept
    finally:
        threading.excepthook = hook
        logging.getLogger().removeHandler(handler)
