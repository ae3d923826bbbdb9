"""In which transfer syntaxes objects are wanted and have arrived: the contexts for them, and what was converted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydicom.uid import UID

from qrkit.dimse.contexts import (
    COMMON_STORAGE,
    LOSSY,
    MOST_CONTEXTS,
    Proposal,
    StorageAnswers,
    contexts_needed,
    storage_proposals,
    usable_syntaxes,
)
from qrkit.errors import StatusError
from qrkit.find.object_list import ListedObject
from qrkit.retrieve.item import ActiveItem
from qrkit.words import counted

_ROOM = MOST_CONTEXTS - 1
"""Presentation contexts for objects; one is for C-GET itself."""

_MOST_NAMED = 3

Wanted = Mapping[str, tuple[str, ...]]
"""The transfer syntaxes in which a node holds objects, by SOP Class UID, most frequent class first; none: unknown."""


def wanted_classes(items: Iterable[ActiveItem]) -> Wanted:
    """Return the SOP Classes of what is missing; also the usual ones where a node lists none.

    So a second try has fewer classes and more presentation contexts for each. The syntaxes of a class are known only
    if they are listed for all of its objects.
    """
    items = list(items)
    counts = Counter(sop_class for active in items for sop_class in active.missing_classes)
    classes = [sop_class for sop_class, _ in counts.most_common() if sop_class]
    if "" in counts:
        return dict.fromkeys((*classes, *COMMON_STORAGE), ())
    listed: defaultdict[str, set[str]] = defaultdict(set)
    for active in items:
        for one in active.list.objects:
            listed[one.SOPClassUID].add(one.AvailableTransferSyntaxUID)
    return {sop_class: _known(listed[sop_class]) for sop_class in classes}


def storage_contexts(items: Sequence[ActiveItem]) -> tuple[Proposal, ...]:
    """Return the contexts by which what is missing of some items may arrive.

    Where a node has failed to send some of it, objects may be of another SOP Class than it lists: what room is left
    is for the usual classes.
    """
    wanted = wanted_classes(items)
    contexts = storage_proposals(tuple(wanted), wanted)
    if not any(active.suboperations.failed for active in items):
        return contexts
    others = [sop_class for sop_class in COMMON_STORAGE if sop_class not in wanted]
    return (*contexts, *storage_proposals(others, room=_ROOM - len(contexts)))


def by_contexts(items: Sequence[ActiveItem]) -> list[list[ActiveItem]]:
    """Divide items among associations, so that each has room for a context for every transfer syntax."""
    groups: list[tuple[list[ActiveItem], Wanted]] = []
    for active in items:
        wanted = wanted_classes([active])
        for place, (group, classes) in enumerate(groups):
            both = _united(classes, wanted)
            if both == classes or contexts_needed(both) <= _ROOM:
                groups[place] = [*group, active], both
                break
        else:
            groups.append(([active], wanted))
    return [group for group, _ in groups]


def may_contexts_help(answers: StorageAnswers, active: ActiveItem) -> bool:
    """Whether objects may be missing for want of a context: one was not accepted, or the node failed at some.

    To ask for the others by other contexts may bring stored objects once more, in another transfer syntax.
    """
    if has_failed(active):
        return True
    return active.error is None and not answers.are_taken(wanted_classes([active]))


def has_failed(active: ActiveItem) -> bool:
    """Whether the node reported that it could not send something."""
    return bool(active.suboperations.failed) or isinstance(active.error, StatusError)


def conversions(active: ActiveItem) -> Iterator[str]:
    """Yield sentences on objects that arrived in another transfer syntax than they are listed or stored in."""
    changes = (_change(one, active.syntaxes.get(one.SOPInstanceUID, "")) for one in active.list.objects)
    converted = Counter(change for change in changes if change is not None)
    if converted:
        yield f"The node converted {_named(converted)}."
        if any(after in LOSSY for _, after in converted):
            yield "This may have reduced image quality."
    stored = Counter(pair for pair in active.other_versions.values() if all(pair) and pair[0] != pair[1])
    if stored:
        yield f"In another transfer syntax than the stored SOP Instance: {_named(stored)}."


def refusals(answers: StorageAnswers, active: ActiveItem) -> Iterator[str]:
    """Yield a sentence on the SOP Classes of missing objects for which a node accepted no context by C-GET."""
    refused = answers.refused(dict.fromkeys(active.missing_classes)) if active.is_open else ()
    if refused:
        names = ", ".join(UID(sop_class).name for sop_class in refused)
        yield f"{active.node} accepted no presentation context for {names} by C-GET."


def _named(changes: Counter[tuple[str, str]]) -> str:
    named = [
        f"{UID(before).name} to {UID(after).name} ({number})" for (before, after), number in changes.most_common()
    ]
    more = ["…"] if len(named) > _MOST_NAMED else []
    return f"{counted(sum(changes.values()), 'object')}: {'; '.join([*named[:_MOST_NAMED], *more])}"


def _change(listed: ListedObject, received: str) -> tuple[str, str] | None:
    """Return the transfer syntax that a node lists for an object, and the other one in which it arrived."""
    syntaxes = _split(listed.AvailableTransferSyntaxUID)
    return (syntaxes[0], received) if syntaxes and received and received not in syntaxes else None


def _known(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the transfer syntaxes of a class; none if one of its objects has none that can be offered."""
    by_object = [usable_syntaxes(_split(text)) for text in sorted(texts)]
    return usable_syntaxes(one for syntaxes in by_object for one in syntaxes) if all(by_object) else ()


def _split(text: str) -> list[str]:
    return [one for one in text.split("\\") if one]


def _united(first: Wanted, second: Wanted) -> Wanted:
    """Return the classes of two items; of a class whose syntaxes one of them does not know, none are known."""
    both = dict(first)
    for sop_class, syntaxes in second.items():
        known = both.get(sop_class, syntaxes)
        both[sop_class] = tuple(dict.fromkeys((*known, *syntaxes))) if known and syntaxes else ()
    return both
