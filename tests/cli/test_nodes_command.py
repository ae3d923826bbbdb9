"""``qrkit nodes`` and ``qrkit echo``."""

import json
import subprocess
import sys
from pathlib import Path

import qrkit
from qrkit.simulator import Quirks
from tests.cli.commands import Here
from tests.peers.waiting import free_port
from tests.workspace.opened import Linked, StartSimulator, environment, link

ADD = ("--host", "10.1.2.3", "--port", "104", "--ae-title", "MAINPACS")


def test_a_node_is_added_shown_changed_listed_and_removed(here: Here) -> None:
    added = here("nodes", "add", "pacs", *ADD, "--information-model", "patient-root", "--response-timeout", "60")
    assert (added.status, added.out) == (0, "")
    assert "qrkit echo pacs" in added.err
    shown = here("nodes", "show", "pacs").json
    assert (shown["ae_title"], shown["port"], shown["information_model"]) == ("MAINPACS", 104, "patient-root")
    waits = {"connect": 10.0, "association": 30.0, "response": 60.0, "inactivity": 120.0, "query": 3600.0}
    assert shown["timeouts"] == waits
    assert here("nodes", "edit", "pacs", "--no-can-get", "--associations", "4").status == 0
    (listed,) = here("nodes", "list", "--format", "json").json
    assert (listed["can_get"], listed["associations"], listed["response_timeout"]) == (False, 4, 60.0)
    assert "sites" not in here("nodes", "list").out
    here("nodes", "edit", "pacs", "--sites", "north,east")
    assert "north,east" in here("nodes", "list").out
    assert here("nodes", "remove", "pacs").status == 0
    assert here("nodes", "list", "--format", "json").json == []


def test_nodes_are_carried_by_export_and_import(here: Here, tmp_path: Path) -> None:
    here("nodes", "add", "pacs", *ADD)
    file = str(tmp_path / "nodes.toml")
    assert here("nodes", "export", file).status == 0
    exported = here("nodes", "export")
    assert exported.out == Path(file).read_text()
    here("nodes", "remove", "pacs")
    imported = here("nodes", "import", file)
    assert imported.status == 0
    assert "1 node: pacs" in imported.err
    assert here("nodes", "export").out == exported.out


def test_wrong_usage_is_status_2_and_one_line(here: Here) -> None:
    for arguments in (
        ("nodes", "add", "pacs", "--host", "10.1.2.3", "--ae-title", "ABCDEFGHIJKLMNOPQ"),
        ("nodes", "add", "pacs", "--host", "10.1.2.3"),
        ("nodes", "add", "pacs", *ADD, "--method", "push"),
        ("nodes", "edit", "pacs"),
        ("nodes", "import", "/no/such/file"),
        ("echo",),
    ):
        ran = here(*arguments)
        assert (ran.status, ran.out) == (2, ""), arguments
        assert len(ran.err.splitlines()) == 1, ran.err
        assert ran.err.startswith("qrkit: ")


def test_an_unknown_command_or_option_is_status_2(here: Here) -> None:
    assert here("nodes", "add", "pacs", *ADD, "--prot", "104").status == 2
    assert here("nodes", "add", "pacs", *ADD, "--port", "many").status == 2
    assert here("fnid").status == 2


def test_an_unknown_node_is_status_1_and_one_line(here: Here) -> None:
    for arguments in (("nodes", "show", "lost"), ("nodes", "remove", "lost"), ("echo", "lost"), ("find", "lost")):
        ran = here(*arguments)
        assert (ran.status, ran.out) == (1, ""), arguments
        assert len(ran.err.splitlines()) == 1, ran.err
        assert "lost" in ran.err


def test_echo_ends_well_only_if_all_answer(
    hospital_here: Here, linked: Linked, start_simulator: StartSimulator
) -> None:
    good = hospital_here("echo")
    assert good.status == 0
    assert "pacs" in good.out
    link(linked.workspace, start_simulator(quirks=Quirks(reject="calling-aet")), "stranger")
    linked.workspace.nodes.add("dead", host="127.0.0.1", port=free_port(), ae_title="DEAD")
    bad = hospital_here("echo", "--format", "json")
    assert bad.status == 1
    rows = {row["node"]: row for row in bad.json}
    assert (rows["pacs"]["ok"], rows["stranger"]["ok"], rows["dead"]["ok"]) == (True, False, False)
    assert rows["stranger"]["error_kind"] == "CallingTitleRejected"
    assert rows["pacs"]["round_trip_ms"] > 0
    assert rows["dead"]["round_trip_ms"] is None
    assert [line.split(":")[0] for line in bad.err.splitlines()] == ["dead", "stranger"]
    assert hospital_here("echo", "pacs").status == 0


def test_the_workspace_may_stand_before_and_after_the_command(here: Here, tmp_path: Path) -> None:
    folder = str(tmp_path / "elsewhere")
    assert here("--workspace", folder, "nodes", "add", "before", *ADD).status == 0
    assert here("nodes", "add", "after", *ADD, "--workspace", folder).status == 0
    with qrkit.open(folder) as elsewhere:
        assert {node.name for node in elsewhere.nodes} == {"before", "after"}
    assert len(here.workspace.nodes) == 0
    assert {
        row["name"] for row in json.loads(here("nodes", "list", "--format", "json", "--workspace", folder).out)
    } == {
        "before",
        "after",
    }


def test_tls_is_set_option_by_option_and_files_become_whole_paths(here: Here, tmp_path: Path) -> None:
    assert here("nodes", "add", "pacs", *ADD, "--tls", "--tls-ca-file", "ca.pem").status == 0
    assert here("nodes", "edit", "pacs", "--no-tls-check-host-name").status == 0
    tls = here("nodes", "show", "pacs").json["tls"]
    assert (tls["enabled"], tls["verify"], tls["check_host_name"]) == (True, True, False)
    assert Path(tls["ca_file"]).is_absolute()
    (listed,) = here("nodes", "list", "--format", "json").json
    assert (listed["tls"], listed["tls_ca_file"]) == (True, tls["ca_file"])
    carried = tmp_path / "nodes.toml"
    assert here("nodes", "export", str(carried)).status == 0
    assert here("nodes", "remove", "pacs").status == 0
    assert here("nodes", "import", str(carried)).status == 0
    assert here("nodes", "show", "pacs").json["tls"] == tls


def test_what_programs_read_is_utf_8_and_a_full_disk_one_line(here: Here) -> None:
    here("nodes", "add", "pacs", *ADD, "--description", "Zürich 漢字")
    command = [sys.executable, "-m", "qrkit.cli", "nodes"]
    ascii_terminal = environment(here.workspace) | {"PYTHONIOENCODING": "ascii"}
    exported = subprocess.run([*command, "export"], check=True, capture_output=True, timeout=60, env=ascii_terminal)
    assert "Zürich 漢字" in exported.stdout.decode()
    with Path("/dev/full").open("w") as full:
        listed = subprocess.run(
            [*command, "list"], check=False, stdout=full, stderr=subprocess.PIPE, timeout=60, env=ascii_terminal
        )
    told = b"qrkit: The output cannot be written: No space left on device."
    assert (listed.returncode, listed.stderr.startswith(told), listed.stderr.count(b"\n")) == (1, True, 1)
    words = "from qrkit.cli.output import say, stderr\nwith stderr.status('Asking'):\n    say('told')"
    with Path("/dev/full").open("w") as full:  # nobody can be told, which is no failure of what is done
        subprocess.run([sys.executable, "-c", words], check=True, stderr=full, timeout=60)
