"""`UsersPage`: the accounts of the dashboard and their roles, for administrators."""

from __future__ import annotations

import ipywidgets

from qrkit.access import Role
from qrkit.widgets.labels import field, fields
from qrkit.widgets.panel import Panel, row, title
from qrkit.widgets.result_table import SelectableTable
from qrkit.workspace import Workspace

_ROLES = {
    Role.VIEWER: "Viewer: can query and view",
    Role.OPERATOR: "Operator: can also retrieve",
    Role.ADMINISTRATOR: "Administrator: can also change nodes, users and settings",
}
_NAME = "The name to log in with."
_LONG_ENOUGH = "At least 8 characters. Only a hash is stored."
_ROLE = "Each role includes the ones before it."


class UsersPage(Panel):
    """A table of the users, with a form to add, change and remove them; `NotAllowed` for others."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._users = workspace.users
        super().__init__()
        self.table = SelectableTable(first=("name", "role", "created", "changed"))
        self.table.show(self._users.list())
        self.name = ipywidgets.Text(description="Name")
        self.password = ipywidgets.Password(description="Password")
        self.role = ipywidgets.Dropdown(options=[(label, role) for role, label in _ROLES.items()], description="Role")
        self.buttons = {
            "Add": self.notice.button(
                "Add user", self._add, primary=True, tip="Add a user with this password and role"
            ),
            "Role": self.notice.button("Change role", self._change_role),
            "Password": self.notice.button(
                "Set password", self._set_password, tip="Ends the sessions of the selected user"
            ),
            "Remove": self.notice.button(
                "Remove user", self._remove, tip="The user can no longer log in; their history stays"
            ),
        }
        form = fields([field(self.name, _NAME), field(self.password, _LONG_ENOUGH), field(self.role, _ROLE)])
        edit = (title("Add or edit a user"), form, row(*self.buttons.values()), self.notice)
        self.children = (title("Users"), self.table, *edit)

    def _refresh(self) -> None:
        self.table.show(self._users.list())
        self.password.value = ""

    def _selected(self) -> str:
        return self.table.pick("name", "user")[0]

    def _add(self) -> None:
        name = self.name.value.strip()
        self._users.add(name, self.password.value, role=self.role.value)
        self.name.value = ""
        self._refresh()
        self.notice.say(f"Added {name} as {self.role.value.value}.")

    def _change_role(self) -> None:
        name = self._selected()
        self._users.set_role(name, self.role.value)
        self._refresh()
        self.notice.say(f"Changed the role of {name} to {self.role.value.value}.")

    def _set_password(self) -> None:
        name = self._selected()
        self._users.set_password(name, self.password.value)
        self._refresh()
        self.notice.say(f"Set the password of {name} and ended their sessions.")

    def _remove(self) -> None:
        name = self._selected()
        self._users.remove(name)
        self._refresh()
        self.notice.say(f"Removed {name}. Their history stays.")
