"""`NodesPage`: the state of the nodes; administrators add, edit, test, probe and remove them."""

from __future__ import annotations

from typing import Any

import ipywidgets

from qrkit.advice import Surface
from qrkit.profile.card import card_html
from qrkit.widgets.labels import field, fields, hint
from qrkit.widgets.node_tiles import NodeTiles, responds_in
from qrkit.widgets.panel import Panel, row, title
from qrkit.widgets.result_table import SelectableTable
from qrkit.workspace import Workspace

_TEXTS = {
    "name": ("Name", "pacs", "Its name in qrkit."),
    "host": ("Host", "10.1.2.3", "Host name or IP address."),
    "ae_title": ("AE title", "MAINPACS", "Its DICOM name: up to 16 characters, case-sensitive."),
    "description": ("Description", "the PACS of radiology", "Optional note for users."),
}
_PORT = "Its DICOM port: often 104 or 11112."
_SWITCHES = {
    "can_find": ("Queries (C-FIND)", "Accepts queries: listed on the query pages."),
    "can_get": ("Retrieves by C-GET", "Sends objects on the same connection; needs no open port here."),
    "can_move": ("Retrieves by C-MOVE", "Connects to the address it has for our AE title."),
    "can_store": ("Receives objects", "Listed as a destination of retrieves."),
    "enabled": ("Enabled", "Disabled nodes are never contacted."),
}
_SHOWN = ("name", "ae_title", "host", "port", "description", *_SWITCHES)


class NodesPage(Panel):
    """Tiles, a table and a form; only administrators may save changes."""

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self.tiles = NodeTiles(workspace=workspace)
        self.table = SelectableTable(first=_SHOWN)
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
            "Test": self.notice.button("Test", self._test, tip="Send C-ECHO to the node with this name"),
            "Probe": self.notice.button(
                "Probe", self._probe, tip="Test with a few small queries what the node can do"
            ),
            "Remove": self.notice.button("Remove node", self._remove),
        }
        self.profile = ipywidgets.HTML()
        texts = [field(widget, _TEXTS[key][2]) for key, widget in self.texts.items()]
        switches = [field(widget, _SWITCHES[key][1]) for key, widget in self.switches.items()]
        form = fields([*texts, field(self.port, _PORT), *switches])
        settings = workspace.settings
        ours = hint(
            f"Its team must register our AE title {settings.ae_title}, port {settings.port} "
            "and the address of the receiving computer."
        )
        editor = (form, ours, row(*self.buttons.values()), self.notice, self.profile)
        self.children = (title("Nodes"), self.tiles, self.table, title("Add or edit a node"), *editor)
        self._refresh()

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
        self.notice.say(f"Removed {name}. Its queries and retrieved objects stay.")

    def _test(self) -> None:
        name = self.texts["name"].value.strip()
        self.notice.say(f"Testing {name} …")
        self.work(lambda _: self._workspace.echo(name), self._tested)

    def _tested(self, answers: Any) -> None:  # noqa: ANN401 - a DataFrame of one row
        row = answers.iloc[0]
        if row["ok"]:
            self.notice.say(f"{row['node']} {responds_in(row['round_trip_ms'])}.")
        else:
            self.notice.alert(f"{row['error']} {row['advice']}")

    def _probe(self) -> None:
        name = self.texts["name"].value.strip()
        self.notice.say(f"Probing {name} …")
        self.work(lambda _: self._workspace.probe(name), self._probed)

    def _probed(self, profile: Any) -> None:  # noqa: ANN401 - a profile, shown as a notebook would
        self.profile.value = card_html(profile, Surface.PAGE)
        self.notice.say("Probed. Queries and retrieves use this profile from now on.")
