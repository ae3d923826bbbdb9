"""C-ECHO to nodes that fail in every way there is."""

import socket
from collections.abc import Iterator

import pytest

from qrkit.errors import InputError
from qrkit.simulator import Quirks
from qrkit.workspace import Workspace
from tests.peers.waiting import LOOPBACK, free_port
from tests.workspace.opened import StartSimulator, link

TIMEOUTS = {"connect": 1.0, "association": 1.0, "response": 1.0, "inactivity": 1.0}


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose queue of connections is full, so that a further one gets no answer."""
    with socket.create_server((LOOPBACK, 0), backlog=0) as server:
        port = server.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((LOOPBACK, port))
            fillers.append(filler)
        yield port
        for filler in fillers:
            filler.close()


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


FAILURES = {
    "unnamed": "HostNotFound",
    "refused": "ConnectionRefused",
    "silent": "ConnectTimeout",
    "mute": "NodeTimeout",
    "stranger": "CallingTitleRejected",
    "misnamed": "CalledTitleRejected",
    "busy": "Congested",
    "unwilling": "NoContextAccepted",
}


@pytest.fixture
def failing(workspace: Workspace, start_simulator: StartSimulator, silent_port: int, mute_port: int) -> Workspace:
    """A workspace with one good node, and one for each way to fail."""
    quirks = {
        "stranger": Quirks(reject="calling-aet"),
        "misnamed": Quirks(reject="called-aet"),
        "busy": Quirks(reject="congestion"),
        "unwilling": Quirks(refuse_contexts=True),
        "good": Quirks(),
    }
    for name, behaviour in quirks.items():
        link(workspace, start_simulator(quirks=behaviour), name, timeouts=TIMEOUTS)
    ports = {"refused": free_port(), "silent": silent_port, "mute": mute_port}
    for name, port in ports.items():
        workspace.nodes.add(name, host=LOOPBACK, port=port, ae_title="X", timeouts=TIMEOUTS)
    workspace.nodes.add("unnamed", host="no-such-host.invalid", port=104, ae_title="X", timeouts=TIMEOUTS)
    return workspace


@pytest.mark.slow
def test_each_failure_has_its_own_kind_and_advice_in_its_own_row(failing: Workspace) -> None:
    answers = failing.echo().set_index("node")
    assert len(answers) == len(FAILURES) + 1
    assert answers.loc["good", "ok"]
    assert answers.loc["good", "error"] == ""
    assert answers["round_trip_ms"].dropna().between(0.001, 5_000).tolist() == [True]
    assert {name: answers.loc[name, "error_kind"] for name in FAILURES} == FAILURES
    failed = answers.loc[list(FAILURES)]
    assert not failed["ok"].any()
    assert failed["advice"].nunique() == len(FAILURES)
    assert (failed["error"].str.len() > 10).all()
    assert not failed["error"].str.contains("\n").any()


@pytest.mark.slow
def test_nodes_are_asked_at_once_and_not_one_after_the_other(
    workspace: Workspace, start_simulator: StartSimulator
) -> None:
    slow = start_simulator(quirks=Quirks(delay_association=0.5))
    for number in range(8):
        link(workspace, slow, f"slow{number}")
    answers = workspace.echo()
    assert answers["ok"].all()
    assert answers["association_ms"].min() >= 500
    assert slow.requests[-1].began - slow.requests[0].began < 2


def test_the_rejection_names_the_ae_title_that_the_pacs_team_must_enter(failing: Workspace) -> None:
    row = failing.echo("stranger").iloc[0]
    assert "QRKIT" in row["advice"]


def test_only_enabled_nodes_are_asked_unless_named(workspace: Workspace, start_simulator: StartSimulator) -> None:
    link(workspace, start_simulator(), "off", enabled=False)
    assert len(workspace.echo()) == 0
    assert workspace.echo("off")["ok"].tolist() == [True]


def test_a_disabled_node_is_not_queried(workspace: Workspace, start_simulator: StartSimulator) -> None:
    link(workspace, start_simulator(), "off", enabled=False)
    with pytest.raises(InputError, match="disabled"):
        workspace.find("off")
