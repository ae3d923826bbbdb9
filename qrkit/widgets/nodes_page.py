"""`NodesPage`: the nodes, which administrators add, edit, test, probe and remove; and `NodeTiles`, their state."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from qrkit.advice import Surface
from qrkit.widgets.labels import field, fields, hint
from qrkit.widgets.panel import Panel, error_on_page, row, title
from qrkit.widgets.result_table import SelectableTable
from qrkit.worker.health import Health
from qrkit.workspace import Workspace

_WORKER = "Worker and Storage SCP"

_LOOK = 10.0
"""Seconds between two checks of the worker."""

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
_EDITED = ("name", "ae_title", "host", "port", "description", *_SWITCHES)


class NodeTiles(Panel):
    """A tile for each node with its response time, or its error and advice; and one for the worker.

    The tile of the worker updates itself. Nodes are checked again only on request.
    """

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._nodes: list[str] = []
        self.tiles = ipywidgets.HTML('<div role="status">Checking nodes …</div>')
        again = self.notice.button("Check again", self.check, tip="Send C-ECHO to every node")
        self.children = (self.tiles, ipywidgets.HBox([again, self.notice]))
        self.check()
        self.poller(self._check_worker, interval=_LOOK).wake()

    def check(self) -> None:
        """Check all nodes; return at once."""
        self.work(lambda _: (self._workspace.echo(), self._workspace.health()), self._show)

    def _check_worker(self) -> bool:
        """Check the worker, unless a check is running."""
        if not self.background.is_busy:
            self.background.run(lambda _: self._workspace.health(), self._show_worker, self._show_error)
        return True

    def _show(self, found: tuple[pd.DataFrame, Health]) -> None:
        answers, health = found
        self._nodes = [_tile(row) for row in answers.to_dict("records")]
        self._show_worker(health)

    def _show_worker(self, health: Health) -> None:
        self._draw(_worker_tile(health, self._workspace.settings.ae_title))

    def _show_error(self, error: BaseException) -> None:
        self._draw(_html("bad", _WORKER, "Status unknown.", error_on_page(error)))

    def _draw(self, worker: str) -> None:
        self.tiles.value = f'<div class="qrkit-tiles" role="status">{"".join(self._nodes)}{worker}</div>'


def responds_in(milliseconds: float) -> str:
    """Return the text for a node that has answered C-ECHO.

    >>> responds_in(0.2), responds_in(12.4)
    ('responds in 1 ms', 'responds in 12 ms')
    """
    return f"responds in {max(1, round(milliseconds))} ms"


def _worker_tile(health: Health, ae_title: str) -> str:
    """Return the tile of the worker; a missing worker is not an error, since one starts with the next retrieve."""
    if health.worker_id is None:
        text, problems = "Not running. Starts with the next retrieve.", health.troubles[1:]
    else:
        text, problems = f"Running. Receives as {ae_title} on port {health.port}.", health.troubles
        if not health.port:
            text = "Running."
    kind = "bad" if problems else "ok" if health.worker_id else ""
    return _html(kind, _WORKER, text, " ".join(problem.on(Surface.PAGE) for problem in problems))


def _tile(row: dict[Any, Any]) -> str:
    if row["ok"]:
        return _html("ok", str(row["node"]), responds_in(row["round_trip_ms"]), "")
    return _html("bad", str(row["node"]), str(row["error"]), str(row["advice"]))


def _html(kind: str, title: str, text: str, advice: str) -> str:
    return (
        f'<div class="qrkit-tile {kind}"><strong>{escape(title)}</strong><br>{escape(text)}'
        f"{'<br>' if advice else ''}{escape(advice)}</div>"
    )


class NodesPage(Panel):
    """Tiles, a table and a form; only administrators may save changes."""

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self.tiles = NodeTiles(workspace=workspace)
        self.table = SelectableTable(first=_EDITED)
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
        self.table.show(self._workspace.nodes.list()[list(_EDITED)])
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
        self.profile.value = profile.card().html(Surface.PAGE)
        self.notice.say("Probed. Queries and retrieves use this profile from now on.")
