"""Which Modality codes are asked for, when a PACS may honour ModalitiesInStudy, ignore it, or not return it.

`ask_codes` does no I/O: it yields a code, and is sent the whole answer to a STUDY query with it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from enum import Enum

from qrkit.plan.groups import GROUPS, SR
from qrkit.profile import Profile, Subject, Verdict

Found = Mapping[str, frozenset[str]]
"""ModalitiesInStudy by StudyInstanceUID; empty where it is not returned."""


class Matching(Enum):
    """What a node does with ModalitiesInStudy as a matching key."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    UNKNOWN = "unknown"


def matching_of(profile: Profile) -> Matching:
    """Return what a profile says of ModalitiesInStudy.

    >>> matching_of(Profile.unknown("pacs"))
    <Matching.UNKNOWN: 'unknown'>
    """
    said = {Verdict.HONOURED: Matching.HONOURED, Verdict.IGNORED: Matching.IGNORED}
    return said.get(profile.verdict(Subject.MODALITIES_IN_STUDY), Matching.UNKNOWN)


def codes_of(groups: Sequence[str], *, sr_only: bool) -> tuple[str, ...]:
    """Return the codes to be asked for, in their order.

    >>> codes_of(("DX", "CT"), sr_only=False)
    ('CT', 'DX', 'CR', 'PX')
    """
    return (SR,) if sr_only else tuple(code for group in GROUPS if group in groups for code in GROUPS[group])


def ask_codes(codes: Sequence[str], known: Matching = Matching.UNKNOWN) -> Generator[str, Found, Matching]:
    """Yield each code to ask for, and return what the node does with the key.

    A node that ignores the key answers every code with the same studies, whatever their modalities, so the remaining
    codes need not be asked. One answer never proves that: an odd or blank row may be in any archive. Where the first
    answer that has studies looks so, the next query tells: the same studies again.

    Parameters
    ----------
    known
        What the node's profile says.
    """
    suspected: Found | None = None
    for code in codes:
        found = yield code
        if known is Matching.HONOURED:
            continue
        if known is Matching.IGNORED:
            return known
        if suspected is not None:
            if found.keys() == suspected.keys():
                return Matching.IGNORED
            known = Matching.HONOURED
        elif found:
            if _looks_ignored(found, code):
                suspected = found
            else:
                known = Matching.HONOURED
    return known


def _looks_ignored(found: Found, code: str) -> bool:
    """Whether some studies have none of the codes that count as this one, or none tells its modalities.

    The codes of one group are synonyms: where DX is asked and CR answered, the key is honoured.
    """
    synonyms = next((set(group) for group in GROUPS.values() if code in group), {code})
    told = [modalities for modalities in found.values() if modalities]
    return not told or any(synonyms.isdisjoint(modalities) for modalities in told)
