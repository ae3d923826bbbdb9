"""Values of the simulator's switches for the hunts: each switch alone, all pairs, then some at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from qrkit.simulator import Quirks

Maker = Callable[[random.Random], Any]

_COUNTS = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances")
_MATCHED = (
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
    *_COUNTS,
    "SOPClassesInStudy",
    "ModalitiesInStudy",
    "StudyDescription",
    "StationName",
    "PatientBirthDate",
)
_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.88.67")
_CHARACTER_SETS = ("none", "ISO_IR 100", "ISO 2022 IR 192", "GB2312", "KLINGON")


def _always(value: object) -> Maker:
    return lambda _: value


def _one_of(*values: object) -> Maker:
    return lambda chance: chance.choice(values)


def _between(least: int, most: int) -> Maker:
    return lambda chance: chance.randint(least, most)


def _some_of(*values: str) -> Maker:
    return lambda chance: tuple(chance.sample(values, chance.randint(1, min(3, len(values)))))


ASSOCIATIONS: Mapping[str, Maker] = {
    "reject": _one_of("calling-aet", "called-aet", "congestion"),
    "known_ae_titles": _always(("OTHER",)),
    "check_called_ae_title": _always(True),
    "max_associations": _between(1, 2),
    "congested_at_first": _always(1),
    "refuse_contexts": _always(True),
    "models": _one_of(("study",), ("patient",), ("study", "patient-study")),
    "delay_association": _always(0.05),
    "end_after": _between(1, 4),
    "end_when_idle": _one_of(0.02, 0.2),
    "odd_negotiation": _always(True),
    "no_release_answer": _always(True),
    "pdu_length": _one_of(1_000, 300_000, 1_048_576),
    "wrong_flags": _always(True),
}

QUERIES: Mapping[str, Maker] = {
    "ignore_keys": _some_of(*_MATCHED),
    "omit_keys": _some_of(*_RETURNED, "PatientBirthDate"),
    "blank_keys": _some_of(*_RETURNED, "PatientBirthDate"),
    "no_modalities_in_study": _always(True),
    "modalities_text": _one_of(",", "/", "; ", "*"),
    "no_match_by_modalities": _always(True),
    "cap": _between(15, 70),
    "hide_answers": _between(1, 3),
    "count_less": _between(1, 2),
    "ignore_wildcards": _always(True),
    "case_sensitive": _always(False),
    "refuse_uid_lists": _always(True),
    "relational": _always(False),
    "duplicate_answers": _always(True),
    "pending_without_identifier": _between(1, 3),
    "names_in_other_script": _always(True),
    "no_study_uid": _between(1, 3),
    "row_per_modality": _always(True),
    "no_study_time_share": _one_of(0.05, 0.5, 1.0),
    "no_instances_of": _some_of("CT", "SR", "MR", "MG", "DX"),
    "image_level_status": _one_of(0xA900, 0xC000),
    "find_status": _one_of(0xA700, 0xC001),
    "find_abort_after": _between(5, 60),
    "find_abort_every": _between(2, 6),
    "find_hang": _always(True),
    "find_endless": _one_of("repeat", "empty"),
    "refuse_keys": _some_of(*_RETURNED, "PatientBirthDate"),
    "delay_first_response": _always(0.03),
    "delay_answer": _always(0.0005),
    "decimal_integers": _always(True),
    "missing_modality": _always(True),
    "wrong_charset": _always(True),
    "named_charset": _one_of(*_CHARACTER_SETS),
    "invalid_uid": _always(True),
    "one_class_in_study": _always(True),
    "report_modality": _always("OT"),
    "add_to_numbers": _between(1, 100),
    "no_sop_class": _always(True),
}

TRANSFERS: Mapping[str, Maker] = {
    "services": _one_of(("echo", "find", "get"), ("echo", "find", "move", "store"), ("get", "move", "store")),
    "refuse_classes": _some_of(*_CLASSES),
    "most_contexts": _one_of(1, 5, 40),
    "single_syntax": _always(True),
    "transfer_syntaxes": _one_of(("1.2.840.10008.1.2.2",), ("1.2.840.10008.1.2.4.70",)),
    "first_context": _always(True),
    "listed_syntax": _one_of("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.1"),
    "send_less": _between(1, 3),
    "fail_objects": _between(1, 3),
    "send_more": _between(1, 3),
    "runaway": _always(True),
    "send_twice": _always(True),
    "reissued": _always(True),
    "send_endlessly": _always(True),
    "no_counters": _always(True),
    "no_pending": _always(True),
    "retrieve_status": _one_of(0xA702, 0xA801, 0xA900, 0xC000, 0xFE00, 0xB000),
    "finish_early": _always(True),
    "pend_forever": _always(0.1),
    "pend_every": _always(0.05),
    "slow_object": _always(0.1),
    "unreachable": _always(True),
    "drop_after": _between(0, 6),
    "break_after": _between(0, 6),
    "broken_object": _between(1, 6),
    "retrieve_hang": _always(True),
    "delay_first_object": _always(0.3),
    "delay_object": _always(0.01),
}

_WITH: Mapping[str, tuple[str, Maker]] = {
    "cap": ("cap_mode", _one_of("silent", "status")),
    "end_after": ("end_mode", _one_of("release", "close", "abort", "silence")),
    "end_when_idle": ("end_mode", _one_of("release", "close", "abort")),
    "find_status": ("find_comment", _one_of("", "index is rebuilt")),
    "refuse_keys": ("refuse_keys_status", _one_of(0xA900, 0xC000, 0x0106)),
    "finish_early": ("early_counters", _one_of("completed", "remaining", "nothing")),
    "broken_object": ("broken_status", _one_of(0xC000, 0xA900, 0xB000, 0)),
    "retrieve_status": ("retrieve_status_after", _one_of(0, 3, -1)),
    "drop_after": ("drop_times", _one_of(-1, 1)),
}
"""Switches that qualify another one, and are set with it."""

_COUNTLESS: Mapping[str, tuple[str, ...]] = {"omit_keys": _COUNTS, "blank_keys": _COUNTS}

_REFUSING = frozenset({"reject", "known_ae_titles", "refuse_contexts"})
"""Switches that leave no other an effect: their pairs are the last ones, and no random case has them."""

FIND = {**ASSOCIATIONS, **QUERIES}
RETRIEVE = {**ASSOCIATIONS, **QUERIES, **TRANSFERS}
AFTER_OTHERS = frozenset(name for name, _ in _WITH.values())
NOT_HUNTED: Mapping[str, str] = {
    "find_drip": "takes the patience of a node for each request",
    "retrieve_comment": "adds text alone",
    "ignore_cancel": "needs a user who cancels",
    "store_status": "is about store nodes",
    "delay_store": "is about store nodes",
}
"""Switches that no hunt has, each with the reason."""


def quirks_of(names: Sequence[str], chance: random.Random, *, counts: bool = False) -> Quirks:
    """Return the switches with values; `counts`: those about keys concern the counts of series and objects."""
    chosen: dict[str, Any] = {}
    for name in names:
        chosen[name] = _COUNTLESS[name] if counts and name in _COUNTLESS else RETRIEVE[name](chance)
        if name in _WITH:
            other, maker = _WITH[name]
            chosen.setdefault(other, maker(chance))
    return Quirks(**chosen)


def names_of(switches: Mapping[str, Maker], number: int, seed: str, *, times: int = 1) -> tuple[str, ...]:
    """Return the switches of a case: each alone `times` times, then all pairs in an order of the seed, then 3 to 5.

    >>> [names_of(dict.fromkeys("ab", _always(1)), number, "x") for number in range(3)]
    [('a',), ('b',), ('a', 'b')]
    """
    names = sorted(switches)
    if number < times * len(names):
        return (names[number % len(names)],)
    pairs = list(combinations(names, 2))
    random.Random(seed).shuffle(pairs)  # noqa: S311 - no secret, but the same each time
    pairs.sort(key=lambda pair: not _REFUSING.isdisjoint(pair))
    if (place := number - times * len(names)) < len(pairs):
        return pairs[place]
    chance = random.Random(f"{seed} {number} switches")  # noqa: S311 - as above
    names = [name for name in names if name not in _REFUSING]
    return tuple(chance.sample(names, min(len(names), chance.randint(3, 5))))


def described(quirks: Quirks) -> str:
    """Return the switches that are set, as the simulator takes them."""
    usual = Quirks()
    changed = {name: getattr(quirks, name) for name in Quirks.descriptions()}
    return ", ".join(f"{name}={value!r}" for name, value in changed.items() if value != getattr(usual, name))
