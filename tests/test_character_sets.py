"""Text in the character sets that nodes declare, misname, or leave out; C-FIND and stored objects read it alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.character_sets import encodings_of, folded, is_known, read_text
from qrkit.store.header import read_header
from qrkit.uids import EXPLICIT_VR_LITTLE_ENDIAN
from tests.dimse.identifiers import decoded, element

SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
CYRILLIC = "Люксембург".encode("iso8859-5")
HANGUL = "김희중".encode("euc_kr")
HANZI = "王小东".encode("gb2312")
KANJI = b"\x1b$B" + "山田".encode("euc_jp").translate(SEVEN_BITS) + b"\x1b(B"
KANA = "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis")
UTF_8 = "Wang=王小东".encode()

DECLARED = [
    ("ISO 2022 IR 100", b"M\xfcller", "Müller"),
    ("ISO_IR 100", b"M\xfcller", "Müller"),
    ("ISO 2022 IR 144", CYRILLIC, "Люксембург"),
    ("\\ISO 2022 IR 144", b"\x1b-L" + CYRILLIC, "Люксембург"),
    ("ISO 2022 IR 6\\ISO_IR 144", b"\x1b-L" + CYRILLIC, "Люксембург"),
    ("ISO_IR 100\\ISO_IR 144", b"M\xfcller^\x1b-L" + CYRILLIC, "Müller^Люксембург"),
    ("ISO_IR 144", b"\x1b-L" + CYRILLIC, "Люксембург"),
    ("ISO_IR 87", b"Yamada=" + KANJI, "Yamada=山田"),
    ("ISO 2022 IR 87", b"Yamada=" + KANJI, "Yamada=山田"),
    ("\\ISO_IR 87", b"Yamada=" + KANJI, "Yamada=山田"),
    ("ISO_IR 13\\ISO_IR 87", KANA + b"=" + KANJI, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田"),
    ("ISO 2022 IR 13", KANA, "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("\\ISO 2022 IR 13", b"\x1b)I\xd4\xcf^\x1b)I\xc0\xdb", "ﾔﾏ^ﾀﾛ"),
    ("\\ISO 2022 IR 13", b"\x1b(ITO\x1b(J^A", "ﾔﾏ^A"),
    ("\\ISO 2022 IR 87", b"\x1b$@;3\x1b(J=A", "山=A"),
    ("\\ISO 2022 IR 159", b"\x1b$(D\x30\x21\x1b(B", "丂"),
    ("\\ISO 2022 IR 149", b"Hong=\x1b$)C" + HANGUL, "Hong=김희중"),
    ("ISO 2022 IR 149", b"Hong=\x1b$)C" + HANGUL, "Hong=김희중"),
    ("ISO_IR 149", b"Hong=" + HANGUL, "Hong=김희중"),
    ("\\ISO_IR 149", b"Hong=\x1b$)C" + HANGUL, "Hong=김희중"),
    ("\\ISO 2022 IR 58", b"Wang=\x1b$)A" + HANZI, "Wang=王小东"),
    ("ISO 2022 IR 6\\ISO 2022 IR 58", b"Wang=\x1b$)A" + HANZI, "Wang=王小东"),
    ("ISO 2022 IR 100\\ISO 2022 IR 58", b"W\xe4ng=\x1b$)A" + HANZI, "Wäng=王小东"),
    ("ISO 2022 IR 58", b"Wang=\x1b$)A" + HANZI, "Wang=王小东"),
    ("\\ISO 2022 IR 58", b"Wang=\x1b$A" + HANZI.translate(SEVEN_BITS) + b"\x1b(B", "Wang=王小东"),
    ("ISO_IR 58", b"Wang=" + HANZI, "Wang=王小东"),
    ("GB2312", b"Wang=" + HANZI, "Wang=王小东"),
    ("GB2312", b"Wang=\x1b$)A" + HANZI, "Wang=王小东"),
    ("GB 2312-80", b"Wang=" + HANZI, "Wang=王小东"),
    ("ISO 2022 GB18030", b"Wang=" + HANZI, "Wang=王小东"),
    ("\\GB18030", b"Wang=" + HANZI, "Wang=王小东"),
    ("\\GBK", b"Wang=" + HANZI, "Wang=王小东"),
    ("ISO 2022 IR 192", UTF_8, "Wang=王小东"),
    ("\\ISO_IR 192", UTF_8, "Wang=王小东"),
    ("ISO_IR 100\\ISO 2022 IR 192", UTF_8, "Wang=王小东"),
    ("ISO_IR 192\\ISO 2022 IR 87", UTF_8, "Wang=王小东"),
    ("ISO_IR 203", b"\xbduvre \xa4", "œuvre €"),
    ("ISO 2022 IR 203", b"\xbduvre \xa4", "œuvre €"),
    ("\\ISO 2022 IR 203", b"\x1b-b\xbduvre \xa4", "œuvre €"),
    ("ISO_IR 101", "Łódź".encode("iso8859_2"), "Łódź"),
    ("iso2022ir101", "Łódź".encode("iso8859_2"), "Łódź"),
    ("ISO-8859-1", b"M\xfcller", "Müller"),
    ("ISO 8859-5", CYRILLIC, "Люксембург"),
    ("windows-1251", "Люксембург".encode("cp1251"), "Люксембург"),
    ("EUC-KR", HANGUL, "김희중"),
    ("Shift_JIS", "山田".encode("shift_jis"), "山田"),
    ("Big5", "王小".encode("big5"), "王小"),
]

MISDECLARED = [
    ("", "Müller".encode(), "Müller"),
    ("ISO_IR 100", "Müller".encode(), "Müller"),
    ("ISO_IR 100", "она".encode(), "она"),
    ("ISO_IR 144", "Люксембург".encode(), "Люксембург"),
    ("ISO_IR 13", "山田".encode(), "山田"),
    ("ISO 2022 IR 100\\ISO 2022 IR 87", "Müller".encode(), "Müller"),
    ("GBK", UTF_8, "Wang=王小东"),
    ("GB18030", "王小".encode(), "王小"),
    ("GB18030", "Müller".encode(), "Müller"),
    ("GBK", "René".encode(), "René"),
    ("\\GB18030", "Ivanova=Иванова".encode(), "Ivanova=Иванова"),
    ("ISO_IR 166", "ไทย".encode(), "ไทย"),
    ("ISO_IR 6", "Müller".encode(), "Müller"),
    ("", b"Yamada=" + KANJI, "Yamada=山田"),
    ("ISO_IR 6", b"Yamada=" + KANJI, "Yamada=山田"),
    ("ISO_IR 100", b"Yamada=" + KANJI, "Yamada=山田"),
    ("ISO_IR 100", b"\x1b-L" + CYRILLIC, "Люксембург"),
    ("ISO_IR 100", b"Hong=\x1b$)C" + HANGUL, "Hong=김희중"),
    ("ISO_IR 192", b"Yamada=" + KANJI, "Yamada=山田"),
    ("\\ISO 2022 IR 144", CYRILLIC, "Люксембург"),
    ("\\ISO 2022 IR 149", b"Hong=" + HANGUL, "Hong=김희중"),
    ("\\ISO 2022 IR 149", b"\x1b$)C" + HANGUL + b"^" + HANGUL, "김희중^김희중"),
    ("\\ISO 2022 IR 58", b"Wang=" + HANZI, "Wang=王小东"),
    ("ISO_IR 149", "똠방".encode("cp949"), "똠방"),
    ("GB2312", "王镕".encode("gbk"), "王镕"),
    ("ISO_IR 100\\KLINGON", b"M\xfcller", "Müller"),
    ("ISO_IR 100", b"na\x93ve\x94 \x80", "na“ve” €"),
    ("", b"M\xfcller", "Müller"),
]
"""Not as declared, but what is meant is plain; the last is the node's own character set, which needs no warning."""

UNCLEAR = [
    ("ISO_IR 100", HANGUL),
    ("", HANZI),
    ("ISO_IR 100", "Люксембург".encode("cp1251")),
    ("ISO_IR 192", b"M\xfcller"),
    ("GB18030", b"M\xfcller"),
    ("\\ISO 2022 IR 87", b"M\xfcller"),
    ("ISO_IR 100", b"\x1b$)Zabc"),
    ("ISO_IR 100", b"abc\x1b"),
    ("\\ISO 2022 IR 87", b"\x1b$B;"),
    ("ISO_IR 127", b"\xa1\xa2"),
    ("KLINGON", b"M\xfcller"),
]


def answered(term: str, raw: bytes) -> tuple[str, list[str]]:
    named = element(0x00080005, "CS", term.encode(), implicit=False) if term else b""
    row = decoded(named + element(0x00100010, "PN", raw, implicit=False), ["PatientName"], implicit=False)[0]
    return row["PatientName"], [warning["why"] for warning in row["warnings"]]


def stored(term: str, raw: bytes) -> str:
    values = [(0x00080018, "UI", b"1.4\0"), (0x0008103E, "LO", raw)]
    values += [(0x0020000D, "UI", b"1.2\0"), (0x0020000E, "UI", b"1.3\0")]
    named = element(0x00080005, "CS", term.encode(), implicit=False) if term else b""
    content = named + b"".join(element(*value, implicit=False) for value in values)
    return read_header(content, EXPLICIT_VR_LITTLE_ENDIAN, whole=True).SeriesDescription


@pytest.mark.parametrize(("term", "raw", "text"), DECLARED)
def test_a_character_set_is_understood_by_any_of_its_names(term: str, raw: bytes, text: str) -> None:
    assert answered(term, raw) == (text, [])


@pytest.mark.parametrize(("term", "raw", "text"), MISDECLARED)
def test_text_that_is_plainly_in_another_character_set_is_read_with_a_warning(
    term: str, raw: bytes, text: str
) -> None:
    found, reasons = answered(term, raw)
    assert (found, len(reasons)) == (text, int((term, raw) != ("", b"M\xfcller")))


@pytest.mark.parametrize(("term", "raw"), UNCLEAR)
def test_no_text_that_may_be_unreadable_comes_without_a_warning(term: str, raw: bytes) -> None:
    _, reasons = answered(term, raw)
    assert reasons


@pytest.mark.parametrize(("term", "raw", "text"), [*DECLARED, *MISDECLARED])
def test_a_stored_object_reads_as_an_answer_does(term: str, raw: bytes, text: str) -> None:
    if b"^" not in raw:  # which ends code extensions in names, and not in descriptions
        assert stored(term, raw) == text


@pytest.mark.parametrize(
    "text",
    ["Größe", "créée", "10 µm ± 2°", "«Œil»".replace("Œ", "O"), "Åkesson", "Núñez", "Straße 5½", "²³", "Ñandú"],
)
def test_usual_text_in_latin_1_raises_no_doubt(text: str) -> None:
    assert read_text(text.encode("latin_1"), ("latin_1",)) == (text, "")


@pytest.mark.parametrize("text", ["胸部CT平扫", "眉山", "CT上腹部enhanced", "王小东"])
def test_usual_text_in_chinese_raises_no_doubt(text: str) -> None:
    for encoding in ("GB18030", "gb2312"):
        assert read_text(text.encode(encoding), (encoding,)) == (text, "")


@pytest.mark.parametrize("text", ["УЗИ", "ЭКГ", "Грудная клетка", "Живот"])
def test_usual_text_in_cyrillic_raises_no_doubt(text: str) -> None:
    assert read_text(text.encode("iso8859_5"), ("iso8859_5",)) == (text, "")


def test_delimiters_of_names_end_code_extensions_and_other_letters_do_not() -> None:
    raw = b"M\xfcller^\x1b-L" + CYRILLIC + b"^\xfc"
    encodings = encodings_of("ISO 2022 IR 100\\ISO 2022 IR 144")
    assert read_text(raw, encodings, delimiters=b"\\^=")[0] == "Müller^Люксембург^ü"
    assert read_text(raw, encodings, delimiters=b"\\")[0] == "Müller^Люксембург^ќ"


def test_an_unknown_term_beside_known_ones_costs_only_itself() -> None:
    assert (encodings_of("ISO_IR 100\\KLINGON"), is_known("ISO_IR 100\\KLINGON")) == (("latin_1",), False)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Scha\u0308del", "SCHÄDEL"), ("импорт", "ИМПОРТ"), ("STRASSE", "Straße"), ("가", "\u1100\u1161")],
)
def test_texts_are_compared_without_case_and_composed(one: str, other: str) -> None:
    assert folded(one) == folded(other)


TERMS = st.sampled_from([term for term, *_ in DECLARED])


@given(
    raw=st.binary(max_size=60) | st.lists(st.sampled_from([raw for _, raw, _ in DECLARED])).map(b"".join), term=TERMS
)
def test_no_bytes_raise_and_no_doubt_hides_a_replacement(raw: bytes, term: str) -> None:
    text, doubt = read_text(raw, encodings_of(term))
    assert doubt or "\N{REPLACEMENT CHARACTER}" not in text or b"\xef\xbf\xbd" in raw or term.find("GB") >= 0


@pytest.mark.parametrize(
    "raw",
    [
        b"Yamada^Tarou=\x1b$B;3ED^\x1b$BB@O:",
        b"Yamada^Tarou=\x1b$B;3ED^\x1b$BB@O: ",
        b"Yamada^Tarou=\x1b$B;3ED^B@O:",
        b"Yamada^Tarou=\x1b$B;3ED^B@O:\x1b(B",
    ],
)
def test_a_delimiter_is_read_where_the_escape_before_it_is_missing(raw: bytes) -> None:
    text, doubt = read_text(raw, ("ascii", "iso2022_jp"), delimiters=b"\\^=")
    assert text.rstrip() == "Yamada^Tarou=山田^太郎"
    assert doubt == "an escape sequence that is missing before a delimiter"


@pytest.mark.parametrize("encoding", ["UTF8", "latin_1", "ascii", "iso8859_5"])
@pytest.mark.parametrize("name", ["Müller", "Miller"])
def test_a_byte_order_mark_is_no_part_of_a_text(encoding: str, name: str) -> None:
    text, doubt = read_text(b"\xef\xbb\xbf" + name.encode(), (encoding,))
    assert (text, bool(doubt)) == (name, encoding != "UTF8")


def test_a_blank_between_characters_of_two_bytes_is_a_blank() -> None:
    assert read_text(b"\x1b$B;3ED B@O:\x1b(B", ("ascii", "iso2022_jp")) == ("山田 太郎", "")
