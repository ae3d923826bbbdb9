"""`NodesPage`: the nodes, tested; and for administrators, added, changed, removed, probed."""

from __future__ import annotations

from typing import Any

import ipywidgets

from qrkit.advice import Surface
from qrkit.profile.card import card_html
from qrkit.widgets.background import Background
from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.labels import field, fields, hint
from qrkit.widgets.node_tiles import NodeTiles, answers_in
from qrkit.widgets.notice import Notice
from qrkit.workspace import Workspace

_TEXTS = {
    "name": ("Name", "pacs", "What you call it here."),
    "host": ("Host", "10.1.2.3", "Its name in the network, or its IP address."),
    "ae_title": ("AE title", "MAINPACS", "Its name in DICOM, up to 16 characters; capitals matter."),
    "description": ("Description", "the PACS of radiology", "For people; may stay empty."),
}
_PORT = "The port on which it takes DICOM: often 104 or 11112."
_SWITCHES = {
    "can_find": ("May be queried", "It answers C-FIND: it is offered on the pages that ask."),
    "can_get": ("Sends by C-GET", "It sends on the same connection: no firewall to open."),
    "can_move": ("Sends by C-MOVE", "It calls us, as the address that it has for our AE title."),
    "can_store": ("Takes objects", "It is offered as a place to deliver to."),
    "enabled": ("In use", "Nothing is asked of a node that is not."),
}
_SHOWN = ("name", "ae_title", "host", "port", "description", *_SWITCHES)


class NodesPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Tiles, a table, and an editor whose changes the workspace lets only administrators make."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.background = Background()
        self.notice = Notice()
        self.tiles = NodeTiles(workspace=workspace)
        self.table = ChoiceTable(first=_SHOWN)
        self.texts = {
            key: ipywidgets.Text(description=label, placeholder=example)
            for key, (label, example, _) in _TEXTS.items()
        }
        self.port = ipywidgets.BoundedIntText(value=104, min=1, max=65535, description="Port")
        self.switches = {
            key: ipywidgets.Checkbox(value=key != "can_store", description=label, indent=False)
            for key, (label, _) in _SWITCHES.items()
        }
        self.buttons = {
            "Edit": self.notice.button("Edit node", self._edit),
            "Save": self.notice.button("Save node", self._save, primary=True),
            "Test": self.notice.button("Test", self._test, tip="Send C-ECHO to the node of this name"),
            "Probe": self.notice.button(
                "Probe", self._probe, tip="Find out what the node can do; a few small questions"
            ),
            "Remove": self.notice.button("Remove chosen", self._remove),
        }
        self.profile = ipywidgets.HTML()
        row = ipywidgets.HBox(list(self.buttons.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        texts = [field(widget, _TEXTS[key][2]) for key, widget in self.texts.items()]
        switches = [field(widget, _SWITCHES[key][1]) for key, widget in self.switches.items()]
        form = fields([*texts, field(self.port, _PORT), *switches])
        settings = workspace.settings
        ours = hint(
            f"Its team must know us in return: AE title {settings.ae_title}, port {settings.port}, "
            "and the address of the computer that receives."
        )
        heads = [ipywidgets.HTML(f"<h2>{text}</h2>") for text in ("Nodes", "Add or change a node")]
        editor = [form, ours, row, self.notice, self.profile]
        super().__init__([heads[0], self.tiles, self.table, heads[1], *editor])
        self._refresh()

    def close(self) -> None:
        """Ask no more."""
        self.background.close()
        self.tiles.close()
        super().close()

    def _refresh(self) -> None:
        self.table.show(self._workspace.nodes.list()[list(_SHOWN)])
        self.tiles.check()

    def _name(self) -> str:
        return self.table.pick("name", "node")[0]

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {key: text.value.strip() for key, text in self.texts.items()}
        return values | {"port": self.port.value} | {key: box.value for key, box in self.switches.items()}

    def _edit(self) -> None:
        node = self._workspace.nodes[self._name()]
        for key, widget in (self.texts | self.switches | {"port": self.port}).items():
            widget.value = getattr(node, key)

    def _save(self) -> None:
        values = self._values()
        name = values.pop("name")
        if name in self._workspace.nodes:
            self._workspace.nodes.edit(name, **values)
        else:
            self._workspace.nodes.add(name, **values)
        self._refresh()
        self.notice.say(f"Saved {name}.")

    def _remove(self) -> None:
        name = self._name()
        self._workspace.nodes.remove(name)
        self._refresh()
        self.notice.say(f"Removed {name}; what was asked of it and fetched from it stays.")

    def _test(self) -> None:
        name = self.texts["name"].value.strip()
        self.notice.say(f"Asking {name} …")
        self.background.run(lambda _: self._workspace.echo(name), self._tested, self.notice.failed)

    def _tested(self, answers: Any) -> None:  # noqa: ANN401 - a DataFrame of one row
        row = answers.iloc[0]
        if row["ok"]:
            self.notice.say(f"{row['node']} {answers_in(row['round_trip_ms'])}.")
        else:
            self.notice.alert(f"{row['error']} {row['advice']}")

    def _probe(self) -> None:
        name = self.texts["name"].value.strip()
        self.notice.say(f"Probing {name} …")
        self.background.run(lambda _: self._workspace.probe(name), self._probed, self.notice.failed)

    def _probed(self, profile: Any) -> None:  # noqa: ANN401 - a profile, shown as a notebook would
        self.profile.value = card_html(profile, Surface.PAGE)
        self.notice.say("Probed; what was seen is used from now on.")
