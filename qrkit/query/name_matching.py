"""Matching of person names done here: what surely matches a key, what a node may take for it, what surely does not.

PS3.4 C.2.2.2 leaves it to a node whether case, accents and spellings count in a name, and in which of the component
groups it looks (PS3.5 6.2.1). So a name in another script than the key's cannot be judged, and one that sounds like
it may have been found on purpose.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from qrkit.query.matches import ESCAPES, Judge, Match, pattern, scripts

_WORDS = re.compile(r"[^\w*?]+")
_ESCAPED = re.compile(r"[\x1b\x9b](?!\([BJ]).*?(?:[\x1b\x9b]\([BJ]|$)", re.DOTALL)
"""An ISO 2022 escape with its text, up to the return to ASCII: the bytes may be delimiters of a name."""
_PARTICLE = 3
"""Letters up to which a word is a particle such as `van`, unless a name has no longer one."""

_UNSEPARATED = frozenset({"CJK", "HANGUL", "HIRAGANA"})
"""Scripts in which a family name and a given name are often written as one word."""
_NAMES = 3
"""Components before prefix and suffix: family, given and middle name (PS3.5 6.2.1)."""
_LONGEST = 64
"""Characters of a component group (PS3.5 6.2); nodes cut off longer ones."""

_WRITTEN = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l"}
    | {"\u0131": "i", "\u03c2": "\u03c3"}
)
_VARIANTS = str.maketrans(
    "髙﨑澤濱濵邊邉斎齋齊廣國嶋嶌櫻眞龍惠榮瀨德黑淺澁澀壽與萬豐鐵圓條學東張陳劉楊黃趙吳孫馬鄭許韓馮鄧葉蔣蕭謝羅",
    "高崎沢浜浜辺辺斉斉斉広国島島桜真竜恵栄瀬徳黒浅渋渋寿与万豊鉄円条学东张陈刘杨黄赵吴孙马郑许韩冯邓叶蒋萧谢罗",
)
"""Characters with a second form that names are also written with."""

_SOUNDS = (
    (r"sch", "s"),
    (r"tsch|tch|tsh", "c"),
    (r"chr", "kr"),
    (r"ph|v|w", "f"),
    (r"ck|qu|q|c(?=[aoulrt])", "k"),
    (r"x", "ks"),
    (r"dt|th|d$", "t"),
    (r"shi", "si"),
    (r"chi", "ti"),
    (r"tsu", "tu"),
    (r"[ae][iy]e?", "ai"),
    (r"ae", "a"),
    (r"o[eu]", "o"),
    (r"u[e]", "u"),
    (r"[yj]", "i"),
    (r"sz|z", "s"),
    (r"(?<=.)h", ""),
    (r"(.)\1+", r"\1"),
)
"""Spellings of one sound, each with the one that stands for it, in the order of their replacement."""

_SPELLINGS = tuple((re.compile(text), sound) for text, sound in _SOUNDS)


def name_judge(asked: str) -> Judge:
    """Return whether a name answers a key: each component group that is given is found among those of the name.

    >>> is_doe = name_judge("Müller^J*")
    >>> [is_doe(name).name for name in ("MULLER^Jane", "Mueller^Jane", "Мюллер^Яна", "Miller^Jane")]
    ['YES', 'ALIKE', 'UNSURE', 'NO']
    """
    judges = [(_matches(group), _resembles(group)) for group in _groups(asked) if group]

    def judge(name: str) -> Match:
        groups = [group for group in _groups(name) if group and not ESCAPES.search(group)]
        verdicts = [_judged(groups, matches, resembles) for matches, resembles in judges]
        if all(verdict is Match.YES for verdict in verdicts):
            return Match.YES
        if Match.UNSURE in verdicts:
            return Match.UNSURE
        # of several groups of a key a node may look at one
        is_alike = Match.ALIKE in verdicts or Match.YES in verdicts
        return Match.ALIKE if is_alike else Match.NO

    return judge


def _judged(groups: Sequence[str], matches: Callable[[str], bool], resembles: Judge) -> Match:
    if any(map(matches, groups)):
        return Match.YES
    verdicts = {resembles(group) for group in groups}
    comparable = verdicts - {Match.UNSURE}
    if Match.ALIKE in verdicts:
        return Match.ALIKE
    return Match.NO if comparable else Match.UNSURE


def _matches(asked: str) -> Callable[[str], bool]:
    whole = pattern(asked)
    components = [pattern(part.strip(" ")) if part.strip(" ") else None for part in asked.split("^")]

    def matches(group: str) -> bool:
        if whole.fullmatch(group):
            return True
        parts = [part.strip(" ") for part in group.split("^")]
        parts += [""] * (len(components) - len(parts))
        return all(one is None or one.fullmatch(part) for one, part in zip(components, parts, strict=False))

    return matches


def _resembles(asked: str) -> Judge:
    """Return whether a group may be another spelling or order of a key; UNSURE in another script."""
    own = scripts(asked)
    parts = [part.strip(" ") for part in asked.split("^")]
    titles = len(parts) if not any(parts[:_NAMES]) else _NAMES  # a node may leave titles out
    components = [some for part in parts[:titles] if (some := _without_particles(_words(part)))]
    joined = _joined(asked)

    def resembles(group: str) -> Match:
        others = scripts(group)
        words, spelt = _words(group), _joined(group)
        fitting = [any(_is_alike(one, word) for one in some for word in words) for some in components]
        is_whole = len([part for part in group.split("^") if part.strip(" ")]) > 1
        is_alike = (
            (all(fitting) if is_whole else any(fitting))
            or _is_alike(joined, spelt)
            or (not is_whole and not others.isdisjoint(_UNSEPARATED) and spelt.startswith(joined))
            or (len(group) >= _LONGEST and joined.startswith(spelt))
        )
        if is_alike and bool(joined):
            return Match.ALIKE
        return Match.UNSURE if own and own != others else Match.NO

    return resembles


def _is_alike(asked: str, word: str) -> bool:
    """Whether a word of a name may be a word that was asked for: the same sound, or its initial.

    A question mark in a name stands for a letter that some node could not write.
    """
    if set(asked) & set("*?"):
        return pattern(asked).fullmatch(word) is not None
    if "?" in word:
        return pattern(word).fullmatch(asked) is not None
    return asked == word or (min(len(asked), len(word)) == 1 and asked[:1] == word[:1])


def _words(text: str) -> list[str]:
    """Return the words of a name by their sound."""
    return [sound(word) for word in _WORDS.split(text) if word.strip("*?_")]


def _without_particles(words: list[str]) -> list[str]:
    return [word for word in words if len(word) > _PARTICLE or set(word) & set("*?")] or words


def _joined(text: str) -> str:
    return sound(_WORDS.sub("", text))


def sound(word: str) -> str:
    """Return one spelling for all spellings of a word that sound alike.

    >>> [sound(word) for word in ("meyer", "maier", "schmidt", "schmitt", "stephan", "stefan", "tarou", "taro")]
    ['mair', 'mair', 'smit', 'smit', 'stefan', 'stefan', 'taro', 'taro']
    """
    for spelling, replacement in _SPELLINGS:
        word = spelling.sub(replacement, word)
    return word


def _groups(name: str) -> list[str]:
    """Return the component groups of a name in lower case, without accents, widths and trailing delimiters."""
    apart = unicodedata.normalize("NFKD", _ESCAPED.sub("\ufffd", name))
    bare = "".join(one for one in apart if unicodedata.category(one) != "Mn" or _is_voicing(one))
    folded = unicodedata.normalize("NFC", bare).lower().translate(_WRITTEN).translate(_VARIANTS)
    return [_hiragana(group).rstrip("^ ") for group in folded.split("=")]


def _is_voicing(mark: str) -> bool:
    """Whether a mark makes another sound of a kana, unlike an accent."""
    return mark in "\u3099\u309a"


def _hiragana(text: str) -> str:
    return "".join(chr(ord(one) - 0x60) if "\u30a1" <= one <= "\u30f6" else one for one in text)
