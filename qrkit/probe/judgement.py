"""From what was asked and what came back to a verdict: pure, on sets of Unique Keys."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from qrkit.probe.questions import Heard
from qrkit.profile.subjects import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict and its evidence.

    Attributes
    ----------
    answers
        How many answers came, where the verdict rests on what did not come; a node that stops at so many proves
        nothing.
    """

    verdict: Verdict = Verdict.UNKNOWN
    evidence: str
    answers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One question whose answer is partly known beforehand.

    Attributes
    ----------
    what
        What was asked, for the evidence.
    things
        What was asked for, in the plural: studies, series, images.
    fits, others
        Unique Keys of what is known to match, and known not to match.
    present
        Unique Keys of what came.
    """

    what: str
    things: str
    heard: Heard
    fits: AbstractSet[str]
    others: AbstractSet[str]
    present: AbstractSet[str]


def judge(trial: Trial, *, cut_at: Collection[int] = ()) -> Judged:
    """Return whether a node did what it was asked.

    A single answer that does not match proves that it did not; that it did is shown by both: something that matches
    came, and something that does not match stayed away.

    Parameters
    ----------
    cut_at
        Numbers of answers at which the node may have stopped: so many do not prove that something was left out.

    >>> came = Heard(count=2, rows=({}, {}))
    >>> trial = Trial(what="CT", things="studies", heard=came, fits={"a"}, others={"b"}, present={"a"})
    >>> judge(trial).evidence
    'CT: 1 of the 1 studies known to match came, none of the 1 known not to match'
    """
    if trial.heard.is_refusal:
        return Judged(verdict=Verdict.REFUSED, evidence=f"{trial.what}: {trial.heard.failure}")
    wrong = trial.present & trial.others
    if wrong:
        seen = f"{len(wrong)} of the {len(trial.present)} {trial.things} that came are known not to match"
        return Judged(verdict=Verdict.IGNORED, evidence=f"{trial.what}: {seen}")
    came = trial.fits & trial.present
    if trial.heard.is_whole and came != trial.fits:
        return _left_out(trial, len(came), cut_at)
    if not came:
        return Judged(evidence=f"{trial.what}: no {trial.things} known to match came, and none had to")
    if not trial.others:
        return Judged(
            evidence=f"{trial.what}: all {len(came)} {trial.things} known in advance match, so nothing tells"
        )
    return Judged(
        verdict=Verdict.HONOURED,
        evidence=f"{trial.what}: {len(came)} of the {len(trial.fits)} {trial.things} known to match came, none of "
        f"the {len(trial.others)} known not to match",
        answers=trial.heard.count,
    )


def _left_out(trial: Trial, came: int, cut_at: Collection[int]) -> Judged:
    if trial.heard.count and trial.heard.count in cut_at:
        return Judged(evidence=f"{trial.what}: {trial.heard.count} answers, where the node may have stopped")
    return Judged(
        verdict=Verdict.REFUSED,
        evidence=f"{trial.what}: {came} of the {len(trial.fits)} {trial.things} known to match came",
        answers=trial.heard.count,
    )
