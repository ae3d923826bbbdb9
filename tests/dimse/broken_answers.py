"""A corpus of C-FIND answers that are broken, nested and mutated; each has a UID and a patient of its own."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.dimse.identifiers import element

SEED = 14
EACH = 7
"""Answers of each fault in each of the two encodings."""

ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
UNDEFINED = 0xFFFFFFFF
KEYWORDS = ("StudyInstanceUID", "StudyDate", "StudyDescription", "PatientID", "ProcedureCodeSequence")

Element = tuple[int, str, bytes]


@dataclass(frozen=True, slots=True)
class BrokenAnswer:
    """An Identifier; `readable` are the values that must be found in it, by keyword."""

    fault: str
    data: bytes
    readable: dict[str, str]
    implicit: bool


@dataclass(frozen=True, slots=True)
class _Case:
    """What a fault works on: the elements before and after the place where it strikes."""

    number: int
    implicit: bool
    chance: random.Random

    @property
    def uid(self) -> str:
        return f"1.2.840.99.{self.number}"

    def elements(self) -> list[Element]:
        """The elements of the answer when it is sound, in their order."""
        return [
            (0x00080005, "CS", b"ISO_IR 100"),
            (0x00080020, "DA", b"20260131"),
            (0x00080052, "CS", b"STUDY "),
            (0x00081030, "LO", f"Sch\xe4del {self.number}".encode("latin-1")),
            (0x00100020, "LO", f"P{self.number:05d}".encode()),
            (0x0020000D, "UI", self.uid.encode()),
            (0x00201208, "IS", b"7 "),
        ]

    def write(self, *elements: Element) -> bytes:
        """The bytes of elements, padded to an even length."""
        return b"".join(
            element(
                tag,
                vr,
                value + b" \0"[vr in ("UI", "UN", "OB")].to_bytes() * (len(value) % 2),
                implicit=self.implicit,
            )
            for tag, vr, value in elements
        )

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """A header whose length says what it likes."""
        start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return start + struct.pack("<I", length)
        if vr in ("SQ", "UN", "OB", "UT"):
            return start + vr.encode() + struct.pack("<HI", 0, length)
        return start + vr.encode() + struct.pack("<H", length & 0xFFFF)

    def around(self, middle: bytes, tag: int = 0x00081032) -> bytes:
        """The sound answer with something of a tag put in its place."""
        before = [one for one in self.elements() if one[0] < tag]
        after = [one for one in self.elements() if one[0] >= tag]
        return self.write(*before) + middle + self.write(*after)

    def lying(self, by: int) -> bytes:
        """The answer with a description whose length is wrong."""
        value = f"Sch\xe4del {self.number}".encode("latin-1")
        value += b" " * (len(value) % 2)
        rest = [one for one in self.elements() if one[0] != 0x00081030]
        before, after = [one for one in rest if one[0] < 0x00081030], [one for one in rest if one[0] > 0x00081030]
        length = max(0, len(value) + by)
        return self.write(*before) + self.header(0x00081030, "LO", length) + value + self.write(*after)

    def item(self, content: bytes, *, length: int | None = None, ended: bool = True) -> bytes:
        """An item of a sequence; of undefined length if `length` is."""
        length = len(content) if length is None else length
        end = ITEM_END if length == UNDEFINED and ended else b""
        return struct.pack("<HHI", 0xFFFE, 0xE000, length) + content + end

    def sequence(self, content: bytes, *, length: int | None = None, ended: bool = True) -> bytes:
        """A ProcedureCodeSequence."""
        length = len(content) if length is None else length
        end = SEQUENCE_END if length == UNDEFINED and ended else b""
        return self.header(0x00081032, "SQ", length) + content + end

    def code(self) -> bytes:
        """The elements of a code."""
        return self.write((0x00080100, "SH", b"P1"), (0x00080104, "LO", f"code {self.number}".encode()))


ALL = ("StudyInstanceUID", "StudyDate", "StudyDescription", "PatientID")
UID = ("StudyInstanceUID", "PatientID")
Fault = Callable[[_Case], bytes]
_FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {}


def fault(*readable: str) -> Callable[[Fault], Fault]:
    """Register a fault, after which these values must be readable."""

    def register(make: Fault) -> Fault:
        _FAULTS[make.__name__.strip("_")] = (make, readable)
        return make

    return register


@fault(*ALL)
def _sound(case: _Case) -> bytes:
    return case.write(*case.elements())


@fault(*ALL)
def _shuffled(case: _Case) -> bytes:
    elements = case.elements()
    rest = elements[1:]
    case.chance.shuffle(rest)
    return case.write(elements[0], *rest)


@fault(*UID)
def _character_set_last(case: _Case) -> bytes:
    return case.write(*case.elements()[::-1])


@fault(*ALL)
def _each_twice(case: _Case) -> bytes:
    return case.write(*(one for one in case.elements() for _ in range(2)))


@fault(*ALL)
def _all_twice(case: _Case) -> bytes:
    return case.write(*case.elements()) * 2


@fault(*ALL)
def _empty_again(case: _Case) -> bytes:
    return case.write(*case.elements(), *((tag, vr, b"") for tag, vr, _ in case.elements()))


@fault(*ALL)
def _group_lengths(case: _Case) -> bytes:
    length = struct.pack("<I", case.chance.randrange(1 << 32))
    groups = [(0x00080000, "UL", length), (0x00100000, "UL", length), (0x00200000, "UL", length)]
    return case.write(*sorted([*groups, *case.elements()]))


@fault(*ALL)
def _file_meta_information(case: _Case) -> bytes:
    meta = element(0x00020010, "UI", b"1.2.840.10008.1.2\0", implicit=False)
    return bytes(128) + b"DICM" * (case.number % 2) + meta + case.write(*case.elements())


@fault(*ALL)
def _command_elements(case: _Case) -> bytes:
    return element(0x00000900, "US", b"\x00\xff", implicit=True) + case.write(*case.elements())


@fault(*ALL)
def _private(case: _Case) -> bytes:
    blob = case.chance.randbytes(2 * case.chance.randrange(40))
    return case.around(case.write((0x00090010, "LO", b"ACME"), (0x00091001, "UN", blob)), 0x00090010)


@fault(*ALL)
def _private_sequence(case: _Case) -> bytes:
    content = ITEM + case.write((0x00091002, "LO", b"x ")) + ITEM_END + SEQUENCE_END
    return case.around(case.header(0x00091001, "UN", UNDEFINED) + content, 0x00090010)


@fault(*UID)
def _too_long(case: _Case) -> bytes:
    return case.lying(case.chance.choice([2, 4, 6, 10, 16, 18]))


@fault(*ALL[:2], "PatientID")
def _too_short(case: _Case) -> bytes:
    return case.lying(-case.chance.choice([1, 2, 3, 4, 6, 8]))


@fault(*ALL[:2], "PatientID")
def _far_too_long(case: _Case) -> bytes:
    return case.lying(case.chance.choice([200, 2000, 0x7000]))


@fault(*ALL[:2], "PatientID")
def _no_length(case: _Case) -> bytes:
    return case.lying(-1000)


@fault(*ALL[:2], "PatientID")
def _undefined_length_of_text(case: _Case) -> bytes:
    body = b"lost" + case.chance.randbytes(4)
    start = struct.pack("<HHI", 0x0008, 0x1080, UNDEFINED)
    if not case.implicit:
        start = struct.pack("<HH", 0x0008, 0x1080) + b"UT\0\0" + struct.pack("<I", UNDEFINED)
    return case.around(start + body, 0x00081080)


@fault(*ALL)
def _odd_length(case: _Case) -> bytes:
    return b"".join(element(tag, vr, value.rstrip(), implicit=case.implicit) for tag, vr, value in case.elements())


@fault("StudyDate")
def _cut(case: _Case) -> bytes:
    whole = case.write(*case.elements())
    return whole[: len(whole) - case.chance.randrange(1, 60)]


@fault("StudyInstanceUID")
def _cut_behind_the_uid(case: _Case) -> bytes:
    whole = case.write(*case.elements())
    return whole[: len(whole) - case.chance.randrange(1, 10)]


@fault(*ALL)
def _mixed_encodings(case: _Case) -> bytes:
    mixed = [(one, case.implicit is (number % 2 == case.number % 2)) for number, one in enumerate(case.elements())]
    return b"".join(_Case(case.number, implicit, case.chance).write(one) for one, implicit in mixed)


@fault(*ALL)
def _other_encoding(case: _Case) -> bytes:
    return _Case(case.number, not case.implicit, case.chance).write(*case.elements())


@fault()
def _big_endian(case: _Case) -> bytes:
    parts = []
    for tag, vr, value in case.elements():
        padded = value + b" " * (len(value) % 2)
        length = struct.pack(">I", len(padded)) if case.implicit else vr.encode() + struct.pack(">H", len(padded))
        parts.append(struct.pack(">HH", tag >> 16, tag & 0xFFFF) + length + padded)
    return b"".join(parts)


@fault(*ALL)
def _odd_value_representations(case: _Case) -> bytes:
    vr = case.chance.choice(["UN", "LO", "ST", "UT", "OB", "QQ", "lo", "??", "\0\0", "  "])
    elements = [(tag, vr if tag == 0x00081032 else own, value) for tag, own, value in case.elements()]
    if case.implicit:
        return case.write(*elements)
    spoilt = [(tag, own if tag != 0x00201208 else vr, value) for tag, own, value in elements]
    return b"".join(element(tag, own, value + b" " * (len(value) % 2), implicit=False) for tag, own, value in spoilt)


@fault("StudyInstanceUID", "StudyDate", "StudyDescription", "PatientID")
def _unknown_value_representation_of_another(case: _Case) -> bytes:
    vr = case.chance.choice(["lo", "??", "\0\0", "  ", "Q1", "\xff\xff"])
    odd = struct.pack("<HH", 0x0008, 0x1080) + vr.encode("latin-1") + struct.pack("<H", 4) + b"odd "
    return case.around(case.write((0x00081080, "LO", b"odd ")) if case.implicit else odd, 0x00081080)


@fault(*ALL)
def _sequence(case: _Case) -> bytes:
    return case.around(case.sequence(case.item(case.code()) * 3))


@fault(*ALL)
def _undefined_sequence(case: _Case) -> bytes:
    return case.around(case.sequence(case.item(case.code(), length=UNDEFINED) * 2, length=UNDEFINED))


@fault(*ALL)
def _nested(case: _Case) -> bytes:
    content = case.code()
    for _ in range(case.chance.choice([2, 5, 20, 60])):
        content = case.sequence(case.item(content, length=UNDEFINED), length=UNDEFINED)
    return case.around(content)


@fault(*ALL)
def _nested_too_deeply(case: _Case) -> bytes:
    content = case.code()
    for _ in range(case.chance.choice([100, 400])):
        content = case.sequence(case.item(content, length=UNDEFINED), length=UNDEFINED)
    return case.around(content)


@fault(*ALL)
def _sequence_with_delimiter_of_a_length(case: _Case) -> bytes:
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 6)
    return case.around(case.sequence(case.item(case.code(), length=UNDEFINED) + end, length=UNDEFINED, ended=False))


@fault(*ALL)
def _stray_delimiters(case: _Case) -> bytes:
    return case.around(case.chance.choice([ITEM_END, SEQUENCE_END, ITEM_END + SEQUENCE_END, SEQUENCE_END * 3]))


@fault(*ALL)
def _sequence_without_end(case: _Case) -> bytes:
    return case.around(case.sequence(case.item(case.code()), length=UNDEFINED, ended=False))


@fault(*ALL)
def _item_without_end(case: _Case) -> bytes:
    return case.around(case.sequence(case.item(case.code(), length=UNDEFINED, ended=False), length=UNDEFINED))


@fault(*ALL)
def _item_that_is_too_long(case: _Case) -> bytes:
    code = case.code()
    return case.around(case.sequence(case.item(code, length=len(code) + 40)))


@fault(*UID, "StudyDate")
def _sequence_that_is_too_long(case: _Case) -> bytes:
    content = case.item(case.code())
    return case.around(case.sequence(content, length=len(content) + case.chance.choice([2, 8, 400])))


@fault(*ALL)
def _sequence_that_is_too_short(case: _Case) -> bytes:
    content = case.item(case.code()) * 2
    return case.around(case.sequence(content, length=len(content) - case.chance.choice([2, 8, 16])))


@fault(*ALL)
def _sequence_without_items(case: _Case) -> bytes:
    return case.around(case.sequence(case.code()))


@fault(*ALL)
def _sequence_of_garbage(case: _Case) -> bytes:
    return case.around(case.sequence(case.chance.randbytes(30)))


@fault(*ALL)
def _sequence_with_the_keys_of_another_study(case: _Case) -> bytes:
    other = case.write((0x00100020, "LO", b"OTHER "), (0x0020000D, "UI", b"1.2.9.9"))
    return case.around(case.sequence(case.item(other, length=UNDEFINED), length=UNDEFINED))


@fault(*ALL)
def _odd_values_in_a_sequence(case: _Case) -> bytes:
    odd = case.write((0x00080100, "SH", b"x" * 40), (0x00101020, "DS", b"1,8 "), (0x00200013, "IS", b"1.5 "))
    return case.around(case.sequence(case.item(odd)))


@fault(*ALL)
def _padding_at_the_end(case: _Case) -> bytes:
    ends = [bytes(8), bytes(3), b" " * 12, struct.pack("<HHI", 0xFFFC, 0xFFFC, 0), b"\xff" * 20]
    return case.write(*case.elements()) + case.chance.choice(ends)


@fault(*ALL)
def _garbage_in_front(case: _Case) -> bytes:
    return case.chance.choice([b"\0\0", bytes(8), b"\xff\xff", bytes(128)]) + case.write(*case.elements())


@fault(*ALL)
def _long_values(case: _Case) -> bytes:
    return case.around(case.header(0x00081080, "UT", 60_000) + b"x" * 60_000, 0x00081080)


@fault(*ALL)
def _a_value_of_zeros(case: _Case) -> bytes:
    return case.around(
        case.write((0x00081080, "LO", bytes(16)), (0x00081090, "LO", b"\x1b$Bxx\x1b\r\n\t")), 0x00081080
    )


@fault("StudyInstanceUID")
def _mutated_before_the_uid(case: _Case) -> bytes:
    whole = bytearray(case.write(*case.elements()))
    at = whole.index(b"\x20\x00\x0d\x00")
    for _ in range(case.chance.randint(1, 3)):
        whole[case.chance.randrange(at)] = case.chance.randrange(256)
    return bytes(whole)


def broken_answers(seed: int = SEED, each: int = EACH) -> Iterator[BrokenAnswer]:
    """Yield the corpus; the same for the same seed."""
    chance, number = random.Random(seed), 0
    for name, (make, readable) in _FAULTS.items():
        for _ in range(each):
            for implicit in (True, False):
                number += 1
                case = _Case(number, implicit, chance)
                values = {
                    "StudyInstanceUID": case.uid,
                    "StudyDate": "2026-01-31",
                    "StudyDescription": f"Schädel {number}",
                    "PatientID": f"P{number:05d}",
                }
                yield BrokenAnswer(name, make(case), {key: values[key] for key in readable}, implicit)


def faults() -> tuple[str, ...]:
    """Return the names of the faults."""
    return tuple(_FAULTS)
