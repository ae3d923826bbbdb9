"""Lists of UIDs as one request asks for them, at nodes that may refuse a list or match only a part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from qrkit.profile import Verdict
from qrkit.query import Request
from qrkit.tables import Level, unique_key
from qrkit.windows import Failure, Trouble

TryAsk = Callable[[Sequence[Request]], "list[pa.Table | Failure]"]
"""Asks requests; `qrkit.workspace.asking.Asker.try_ask` is one."""

_UNIQUE = tuple(unique_key(level) for level in (Level.STUDY, Level.SERIES, Level.IMAGE))


class Lists:
    """Asks requests, those with a list of UIDs UID by UID where the node does not take the list.

    Parameters
    ----------
    verdict_of
        Gives what is known of lists at a level. Where nothing is, one UID that did not come is asked for alone.

    Attributes
    ----------
    told
        How often lists were asked UID by UID, and why; empty: never.
    against
        What the node has shown of lists, by level, that do not work.
    """

    def __init__(self, try_ask: TryAsk, verdict_of: Callable[[Level], Verdict]) -> None:
        self._try_ask = try_ask
        self._verdict_of = verdict_of
        self.told = ""
        self.against: dict[Level, str] = {}

    def try_ask(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        """Return the answers to requests, or why there is none, in their order."""
        lists = [_list_key(request) for request in requests]
        by_uid = [bool(key) and self._is_against(one.level) for one, key in zip(requests, lists, strict=True)]
        came = iter(self._try_ask([one for one, alone in zip(requests, by_uid, strict=True) if not alone]))
        answers: list[pa.Table | Failure] = []
        for request, key, alone in zip(requests, lists, by_uid, strict=True):
            if not key:
                answers.append(next(came))
            elif alone:
                why = self.against.get(request.level, "by its profile the node does not take lists")
                answers.append(self._one_by_one(request, key, why))
            else:
                answers.append(self._whole(request, key, next(came)))
        return answers

    def _is_against(self, level: Level) -> bool:
        return level in self.against or self._verdict_of(level).is_against

    def _whole(self, request: Request, key: str, answer: pa.Table | Failure) -> pa.Table | Failure:
        """Return the answer to a list, or to each of its UIDs if the list was refused or matched in part."""
        if isinstance(answer, Failure):
            if answer.trouble is not Trouble.REFUSED:
                return answer
            return self._refused(request, key)
        if self._verdict_of(request.level) is Verdict.HONOURED:
            return answer
        here = set(answer[key].to_pylist()) if key in answer.column_names else set()
        missed = [uid for uid in request.value(key).split("\\") if uid not in here]
        if not missed:
            return answer
        (alone,) = self._try_ask([request.with_key(key, missed[0])])
        if isinstance(alone, Failure) or not alone.num_rows:
            return answer
        why = self.against.setdefault(request.level, "the node matches only a part of a list")
        rest = self._one_by_one(request.with_key(key, "\\".join(missed)), key, why)
        return rest if isinstance(rest, Failure) else _together([answer, rest])

    def _refused(self, request: Request, key: str) -> pa.Table | Failure:
        """Return the answers to the UIDs of a refused list; if one of them fails alone, lists are not at fault."""
        why = "the node refuses lists"
        answer = self._one_by_one(request, key, why)
        if not isinstance(answer, Failure):
            self.against.setdefault(request.level, why)
        return answer

    def _one_by_one(self, request: Request, key: str, why: str) -> pa.Table | Failure:
        uids = request.value(key).split("\\")
        self.told = f"{key}: {why}, so each UID was asked for alone"
        answers = self._try_ask([request.with_key(key, uid) for uid in uids])
        failed = next((answer for answer in answers if isinstance(answer, Failure)), None)
        return failed or _together([answer for answer in answers if not isinstance(answer, Failure)])


def _list_key(request: Request) -> str:
    """Return the Unique Key for which a request has a list of UIDs, or an empty text."""
    return next((key for key, value in request.keys if key in _UNIQUE and "\\" in value), "")


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive")
