"""`UsersPage`: who may log in to the dashboard and as what, for administrators."""

from __future__ import annotations

import ipywidgets

from qrkit.access import Role
from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.labels import field, fields
from qrkit.widgets.notice import Notice
from qrkit.workspace import Workspace

_ROLES = {
    Role.VIEWER: "Viewer: may query and see",
    Role.OPERATOR: "Operator: may retrieve too",
    Role.ADMINISTRATOR: "Administrator: may change nodes, users and settings too",
}
_NAME = "With which they log in."
_LONG_ENOUGH = "At least 8 characters; it is kept so that nobody can read it."
_ROLE = "Operators may do what viewers may, and administrators all."


class UsersPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A table of the users, and what the workspace lets an administrator do with them.

    Raises
    ------
    NotAllowed
        If whoever looks is no administrator.
    """

    def __init__(self, *, workspace: Workspace) -> None:
        self._users = workspace.users
        self.notice = Notice()
        self.table = ChoiceTable(first=("name", "role", "created", "changed"))
        self.table.show(self._users.list())
        self.name = ipywidgets.Text(description="Name")
        self.password = ipywidgets.Password(description="Password")
        self.role = ipywidgets.Dropdown(options=[(told, role) for role, told in _ROLES.items()], description="Role")
        self.buttons = {
            "Add": self.notice.button("Add user", self._add, primary=True, tip="At least 8 characters of password"),
            "Role": self.notice.button("Give chosen this role", self._give_role),
            "Password": self.notice.button(
                "Give chosen this password", self._give_password, tip="Their sessions in the dashboard end"
            ),
            "Remove": self.notice.button(
                "Remove chosen", self._remove, tip="They can log in no more; what they did stays in the history"
            ),
        }
        row = ipywidgets.HBox(list(self.buttons.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        form = fields([field(self.name, _NAME), field(self.password, _LONG_ENOUGH), field(self.role, _ROLE)])
        heads = [ipywidgets.HTML(f"<h2>{text}</h2>") for text in ("Users", "Add or change a user")]
        super().__init__(
            [heads[0], self.table, heads[1], form, row, self.notice],
        )

    def _refresh(self) -> None:
        self.table.show(self._users.list())
        self.password.value = ""

    def _chosen(self) -> str:
        return self.table.pick("name", "user")[0]

    def _add(self) -> None:
        name = self.name.value.strip()
        self._users.add(name, self.password.value, role=self.role.value)
        self.name.value = ""
        self._refresh()
        self.notice.say(f"Added {name} as {self.role.value.value}.")

    def _give_role(self) -> None:
        name = self._chosen()
        self._users.set_role(name, self.role.value)
        self._refresh()
        self.notice.say(f"{name} is {self.role.value.value} from now on.")

    def _give_password(self) -> None:
        name = self._chosen()
        self._users.set_password(name, self.password.value)
        self._refresh()
        self.notice.say(f"{name} has the new password; their sessions in the dashboard have ended.")

    def _remove(self) -> None:
        name = self._chosen()
        self._users.remove(name)
        self._refresh()
        self.notice.say(f"Removed {name}; what they did stays in the history.")
