from dataclasses import replace

import pytest
import sqlalchemy as sa

from qrkit.node import Node
from qrkit.profile import Evidence, Profile, Statement, Subject, Verdict
from qrkit.store import schema
from qrkit.store.audit import AuditTable
from qrkit.store.migrations import MIGRATIONS
from qrkit.store.nodes import NodeTable, ProfileTable
from qrkit.store.state import State

PROFILE = Profile(
    node="pacs",
    probed="2026-06-30T08:15:00+00:00",
    requests=12,
    statements=(
        Statement(subject=Subject.STUDY_DATE, verdict=Verdict.HONOURED, evidence="3 of 20 studies are of that day"),
    ),
)
NODE = Node(name="pacs", host="10.1.2.3", ae_title="PACS")


def test_a_node_that_was_never_probed_has_no_profile(state: State) -> None:
    assert ProfileTable(state).get("pacs") is None


def test_the_newest_profile_counts_and_the_older_ones_are_kept(state: State) -> None:
    table = ProfileTable(state)
    newer = replace(PROFILE, probed="2026-07-01T08:15:00+00:00", requests=11)
    for profile in (PROFILE, newer, replace(PROFILE, node="other")):
        table.add(profile, "physicist")
    assert [one.probed for one in table.list("pacs")] == [newer.probed, PROFILE.probed]
    kept = table.get("pacs")
    assert kept is not None
    assert kept.requests == 11
    assert kept.honours("StudyDate")


def test_who_probed_a_node_is_in_the_audit(state: State) -> None:
    ProfileTable(state).add(PROFILE, "physicist")
    row = AuditTable(state).list(subject="pacs")[0]
    assert (row.who, row.action, row.details) == ("physicist", "node probed", {"requests": 12})


def test_the_first_reason_why_a_profile_is_stale_stands(state: State) -> None:
    table = ProfileTable(state)
    assert not table.mark_stale("pacs", "nobody probed it")
    table.add(PROFILE, "physicist")
    assert table.mark_stale("pacs", "an answer contradicts it")
    assert not table.mark_stale("pacs", "another one too")
    kept = table.get("pacs")
    assert kept is not None
    assert kept.stale == "an answer contradicts it"
    assert not kept.honours("StudyDate")


def test_what_queries_show_is_added_to_the_newest_profile_unless_it_is_stale(state: State) -> None:
    table = ProfileTable(state)
    refused = Statement(subject=Subject.UID_LISTS, verdict=Verdict.REFUSED, evidence="refused")
    shown = Evidence(statements=(refused,), most_answers=137)
    assert table.learn("pacs", shown, "physicist")
    assert not table.learn("pacs", shown, "physicist")
    kept = table.get("pacs")
    assert kept is not None
    assert (kept.probed, kept.most_answers, kept.verdict("uid_lists")) == ("", 137, Verdict.REFUSED)
    assert "lists of StudyInstanceUIDs" in [line.about for line in kept.card().sections[0].lines]
    table.add(PROFILE, "physicist")
    assert table.learn("pacs", shown, "physicist")
    kept = table.get("pacs")
    assert kept is not None
    assert (kept.probed, kept.most_answers, kept.honours("StudyDate")) == (PROFILE.probed, 137, True)
    table.mark_stale("pacs", "an answer contradicts it")
    assert not table.learn("pacs", Evidence(most_answers=200), "physicist")


def test_the_next_probe_renews_a_stale_profile(state: State) -> None:
    table = ProfileTable(state)
    table.add(PROFILE, "physicist")
    table.mark_stale("pacs", "an answer contradicts it")
    table.add(PROFILE, "physicist")
    assert [one.stale for one in table.list("pacs")] == ["", "an answer contradicts it"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"host": "10.1.2.4", "port": 105}, "the node's host, port changed"),
        ({"ae_title": "PACS2"}, "the node's ae_title changed"),
        ({"description": "beside the lift", "pause": 0.5}, ""),
    ],
)
def test_another_address_makes_a_profile_stale_and_other_settings_do_not(
    state: State, changes: dict[str, object], why: str
) -> None:
    nodes, table = NodeTable(state), ProfileTable(state)
    nodes.add(NODE, "physicist")
    table.add(PROFILE, "physicist")
    nodes.change(replace(NODE, **changes), "physicist")  # type: ignore[arg-type]  # settings of a node
    kept = table.get("pacs")
    assert kept is not None
    assert kept.stale == why


def test_a_removed_node_leaves_its_profile_stale(state: State) -> None:
    nodes, table = NodeTable(state), ProfileTable(state)
    nodes.add(NODE, "physicist")
    table.add(PROFILE, "physicist")
    nodes.remove("pacs", "physicist")
    kept = table.get("pacs")
    assert kept is not None
    assert kept.stale == "the node was removed"


def test_a_state_of_before_gets_the_table(state: State) -> None:
    migration = next(one for one in MIGRATIONS if one.name == "profiles of nodes")
    assert migration.apply is not None
    with state.transaction() as connection:
        schema.profiles.drop(connection)
        migration.apply(connection)
        assert "profiles_node" in {one["name"] for one in sa.inspect(connection).get_indexes("profiles")}
    ProfileTable(state).add(PROFILE, "physicist")
