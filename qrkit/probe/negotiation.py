"""The first step of a probe: which services and information models a node accepts, and what it extends them by."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from qrkit.node import InformationModel, Node
from qrkit.probe.questions import Agreed, Offer
from qrkit.profile.subjects import Extension


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was agreed on.

    Attributes
    ----------
    model
        The information model to ask under; None if C-FIND is not accepted.
    services
        Those of C-ECHO, C-GET and C-MOVE that are accepted.
    evidence
        One sentence.
    notes
        What people should know of it.
    """

    model: InformationModel | None
    models: tuple[InformationModel, ...]
    services: tuple[str, ...]
    extensions: tuple[Extension, ...]
    evidence: str
    notes: tuple[str, ...]


def negotiate(node: Node) -> Generator[Offer, Agreed, Terms]:
    """Offer everything; once more without extensions to a node that does not take the association with them."""
    agreed = yield Offer(extensions=tuple(Extension))
    notes: tuple[str, ...] = ()
    if agreed.failure:
        notes = (f"Extended negotiation must not be offered to it: {agreed.failure}",)
        agreed = yield Offer()
    model = _model(node, agreed)
    if model is None:
        notes += ("It accepts C-FIND under no information model, so nothing was asked.",)
    elif model is not node.information_model:
        refused = f"The node does not accept {node.information_model.value}, which queries use."
        notes += (f"{refused} Change its information model to {model.value}.",)
    extensions = tuple(agreed.extensions.get(model, ())) if model else ()
    return Terms(
        model=model,
        models=agreed.find,
        services=_services(agreed, model),
        extensions=extensions,
        evidence=_evidence(agreed, extensions),
        notes=notes,
    )


def _model(node: Node, agreed: Agreed) -> InformationModel | None:
    preferred = (node.information_model, InformationModel.STUDY_ROOT, InformationModel.PATIENT_ROOT, *agreed.find)
    return next((model for model in preferred if model in agreed.find), None)


def _services(agreed: Agreed, model: InformationModel | None) -> tuple[str, ...]:
    accepted = {
        "C-ECHO": agreed.echo,
        "C-GET": model in agreed.get if model else bool(agreed.get),
        "C-MOVE": model in agreed.move if model else bool(agreed.move),
    }
    return tuple(service for service, is_accepted in accepted.items() if is_accepted)


def _evidence(agreed: Agreed, extensions: Sequence[Extension]) -> str:
    parts = [
        f"C-ECHO was {'accepted' if agreed.echo else 'refused'}",
        f"C-FIND accepted under {_named(agreed.find)}",
        f"C-GET under {_named(agreed.get)}",
        f"C-MOVE under {_named(agreed.move)}",
        f"of 4 extensions of C-FIND {', '.join(one.value for one in extensions) or 'none'}",
    ]
    return "; ".join(parts)


def _named(models: Sequence[InformationModel]) -> str:
    return ", ".join(model.value for model in models) or "no information model"
