"""C-STORE and C-ECHO as a service class provider (PS3.4 A.4, B.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrkit.simulator.pacs.site import Recorder
from qrkit.simulator.pacs.wire import C_ECHO_RSP, C_STORE_RSP, NO_DATA_SET

if TYPE_CHECKING:
    from qrkit.simulator.pacs.association import Association
    from qrkit.simulator.pacs.site import Site
    from qrkit.simulator.pacs.wire import Message


def serve_echo(association: Association, message: Message, site: Site) -> None:
    """Answer one C-ECHO-RQ."""
    with Recorder(site, association, "C-ECHO") as record:
        record.status = 0x0000
        record.put()
        _respond(association, message, C_ECHO_RSP, 0x0000)


def serve_store(association: Association, message: Message, site: Site) -> None:
    """Keep one object, or refuse it; success is said only once its file is written."""
    with Recorder(site, association, "C-STORE") as record:
        site.pause(site.quirks.delay_store)
        record.status = site.quirks.store_status
        if record.status == 0x0000:
            context = association.contexts[message.context_id]
            site.archive.add(
                message.text("AffectedSOPClassUID"),
                message.text("AffectedSOPInstanceUID"),
                context.transfer_syntax,
                message.data,
            )
            record.answers = 1
        record.put()
        _respond(association, message, C_STORE_RSP, record.status)


def _respond(association: Association, message: Message, command_field: int, status: int) -> None:
    elements: dict[str, int | str] = {
        "AffectedSOPClassUID": message.text("AffectedSOPClassUID"),
        "CommandField": command_field,
        "MessageIDBeingRespondedTo": message.number("MessageID"),
        "CommandDataSetType": NO_DATA_SET,
        "Status": status,
    }
    if instance := message.text("AffectedSOPInstanceUID"):
        elements["AffectedSOPInstanceUID"] = instance
    association.send(message.context_id, elements)
    association.flush()
