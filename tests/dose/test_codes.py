"""Which codes are asked for: a PACS may honour ModalitiesInStudy, ignore it, or not return it."""

from collections.abc import Callable

import pytest

from qrkit.dose import Matching, ask_codes

STUDIES = {"1": "CT SR", "2": "MR", "3": "CT", "4": "MG", "5": "RF", "6": "PT CT", "7": "DX"}
CODES = ("CT", "MG", "RF", "XA", "DX", "CR", "PX", "NM", "PT")

Pacs = Callable[[str], dict[str, frozenset[str]]]


def honours(code: str) -> dict[str, frozenset[str]]:
    return {uid: frozenset(codes.split()) for uid, codes in STUDIES.items() if code in codes.split()}


def ignores(_: str) -> dict[str, frozenset[str]]:
    return {uid: frozenset(codes.split()) for uid, codes in STUDIES.items()}


def honours_silently(code: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(honours(code), frozenset())


def ignores_silently(_: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(STUDIES, frozenset())


def honours_with_a_blank_row(code: str) -> dict[str, frozenset[str]]:
    return {"0": frozenset(), **honours(code)}


def honours_with_an_odd_row(code: str) -> dict[str, frozenset[str]]:
    return {**honours(code), **({"9": frozenset({"US"})} if code == "CT" else {})}


def answers_synonyms(code: str) -> dict[str, frozenset[str]]:
    return {"8": frozenset({"CR"})} if code in ("DX", "CR") else honours(code)


def asked(
    pacs: Pacs, codes: tuple[str, ...] = CODES, known: Matching = Matching.UNKNOWN
) -> tuple[list[str], Matching]:
    asking = ask_codes(codes, known)
    sent = [next(asking)]
    while True:
        try:
            sent.append(asking.send(pacs(sent[-1])))
        except StopIteration as end:
            return sent, end.value


@pytest.mark.parametrize(
    "pacs", [honours, honours_silently, honours_with_a_blank_row, honours_with_an_odd_row, answers_synonyms]
)
def test_every_code_is_asked_where_the_key_is_honoured(pacs: Pacs) -> None:
    sent, matching = asked(pacs)
    assert sent == list(CODES)
    assert matching is Matching.HONOURED


@pytest.mark.parametrize("pacs", [ignores, ignores_silently])
def test_where_the_key_is_ignored_one_more_query_is_spent_to_be_sure(pacs: Pacs) -> None:
    assert asked(pacs) == (["CT", "MG"], Matching.IGNORED)


def test_codes_of_one_group_are_synonyms() -> None:
    sent, matching = asked(answers_synonyms, ("DX", "CR", "PX"))
    assert (sent, matching) == (["DX", "CR", "PX"], Matching.HONOURED)


def test_what_the_profile_knows_is_not_found_out_again() -> None:
    assert asked(ignores, known=Matching.IGNORED)[0] == ["CT"]
    assert asked(ignores_silently, known=Matching.HONOURED)[0] == list(CODES)


def test_no_answer_proves_nothing() -> None:
    def empty(_: str) -> dict[str, frozenset[str]]:
        return {}

    assert asked(empty) == (list(CODES), Matching.UNKNOWN)
    assert asked(ignores, ("CT",)) == (["CT"], Matching.UNKNOWN)
