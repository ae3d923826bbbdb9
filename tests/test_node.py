"""Nodes: whatever holds one holds a usable one, and says in a sentence why it cannot be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import InputError
from qrkit.node import (
    InformationModel,
    Method,
    Node,
    Timeouts,
    Tls,
    changed,
    check_ae_title,
    node_from_mapping,
    node_to_mapping,
)

PACS = {"name": "pacs", "host": "10.1.2.3", "ae_title": "MAINPACS"}


def refused(values: dict[str, Any]) -> str:
    """What is said about values that are no node."""
    with pytest.raises(InputError) as caught:
        node_from_mapping(values)
    return str(caught.value)


def test_name_host_and_ae_title_are_enough() -> None:
    node = node_from_mapping(PACS)
    assert (node.port, node.information_model, node.method) == (104, InformationModel.STUDY_ROOT, Method.AUTO)
    assert node == Node(name="pacs", host="10.1.2.3", ae_title="MAINPACS")


def test_what_is_missing_is_named() -> None:
    assert refused({"name": "pacs"}) == "Node 'pacs' needs host, ae_title."


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": ""}, "'' is not a valid node name"),
        ({"name": " pacs"}, "is not a valid node name"),
        ({"name": "x" * 65}, "1 to 64 characters"),
        ({"host": " "}, "needs a host"),
        ({"host": "10.1.2.3\0"}, "needs a host"),
        ({"host": "a b"}, "needs a host"),
        ({"port": 0}, "0 is not a valid port of node 'pacs': enter a number from 1"),
        ({"port": 65536}, "65536 is not a valid port of node 'pacs'"),
        ({"port": "x"}, "'x' is not a valid port of node 'pacs': enter a number from 1 to 65535."),
        ({"port": 104.5}, "must be a whole number, not 104.5"),
        ({"port": "nan"}, "port of node 'pacs'"),
        ({"port": "inf"}, "port of node 'pacs'"),
        ({"port": True}, "True is not a valid port of node 'pacs': enter a number from 1 to 65535."),
        ({"ae_title": ""}, "AE title of node 'pacs' is empty"),
        ({"ae_title": "A" * 17}, "has 17 characters; at most 16 are allowed"),
        ({"ae_title": "A\\B"}, "a character that AE titles cannot have"),
        ({"ae_title": "PÄCS"}, "a character that AE titles cannot have"),
        ({"calling_ae_title": "A\n"}, "calling ae title of node 'pacs'"),
        ({"move_destination": "B" * 17}, "move destination of node 'pacs'"),
        ({"associations": 0}, "at least 1 association, not 0"),
        ({"pause": -1}, "cannot be negative or endless"),
        ({"pause": "nan"}, "pause of node 'pacs'"),
        ({"can_get": "yes"}, "can_get of node 'pacs' is true or false, not 'yes'"),
        ({"method": "ftp"}, "method of node 'pacs' is one of auto, get, move, not 'ftp'"),
        ({"information_model": 1}, "is one of patient-root, study-root, patient-study-only, not 1"),
        ({"description": 5}, "description of node 'pacs' is a text, not 5"),
        ({"aetitle": "X"}, "Node 'pacs' has no aetitle. Did you mean ae_title?"),
        ({"timeouts": {"connect": 0}}, "connect timeout must be more than 0 seconds"),
        ({"timeouts": {"connect": "nan"}}, "connect"),
        ({"timeouts": {"connect": "soon"}}, "'soon' is not a valid connect of node 'pacs': enter a number."),
        ({"timeouts": {"reply": 1}}, "Timeouts of node 'pacs' has no reply. Use association, connect, "),
        ({"timeouts": 5}, "timeouts of node 'pacs'"),
    ],
    ids=str,
)
def test_what_is_not_valid_is_named(values: dict[str, Any], said: str) -> None:
    assert said in refused(PACS | values)


def test_blanks_around_titles_and_hosts_do_not_matter() -> None:
    node = node_from_mapping(PACS | {"ae_title": " MAINPACS ", "host": " 10.1.2.3 ", "calling_ae_title": " "})
    assert (node.ae_title, node.host, node.calling_ae_title) == ("MAINPACS", "10.1.2.3", "")


def test_texts_from_the_command_line_are_read() -> None:
    node = node_from_mapping(PACS | {"port": "11112", "associations": "3", "pause": "0.5", "method": "move"})
    assert (node.port, node.associations, node.pause, node.method) == (11112, 3, 0.5, Method.MOVE)


def test_changing_a_node_leaves_the_rest_and_the_node_itself() -> None:
    node = node_from_mapping(PACS | {"timeouts": {"connect": 5}})
    other = changed(node, {"port": 11112, "timeouts": {"response": 60}})
    assert other == node_from_mapping(PACS | {"port": 11112, "timeouts": {"connect": 5, "response": 60}})
    assert node.port == 104


titles = st.from_regex(r"[A-Za-z0-9_-]([A-Za-z0-9 _-]{0,14}[A-Za-z0-9_-])?", fullmatch=True)
nodes = st.builds(
    Node,
    name=st.from_regex(r"[a-zäöü0-9]{1,64}", fullmatch=True),
    host=st.sampled_from(["10.1.2.3", "pacs.example.org", "::1"]),
    port=st.integers(1, 65535),
    ae_title=titles,
    calling_ae_title=st.one_of(st.just(""), titles),
    move_destination=st.one_of(st.just(""), titles),
    description=st.text(),
    can_get=st.booleans(),
    enabled=st.booleans(),
    information_model=st.sampled_from(InformationModel),
    method=st.sampled_from(Method),
    timeouts=st.builds(Timeouts, connect=st.floats(0.001, 1e6), response=st.floats(0.001, 1e6)),
    associations=st.integers(1, 50),
    pause=st.floats(0, 1e6),
)


@pytest.mark.slow
@given(nodes)
def test_a_node_is_the_same_after_it_was_kept_as_plain_values(node: Node) -> None:
    assert node_from_mapping(node_to_mapping(node)) == node


@pytest.mark.slow
@given(st.text(max_size=20))
def test_a_title_is_valid_or_an_input_error(title: str) -> None:
    try:
        checked = check_ae_title(title)
    except InputError:
        return
    assert checked == title.strip(" ")
    assert 1 <= len(checked) <= 16
    assert checked.isascii()
    assert checked.isprintable()


def test_tls_is_a_table_of_settings_that_are_kept_and_changed_one_by_one() -> None:
    node = node_from_mapping(PACS | {"tls": {"enabled": True, "ca_file": "/etc/ca.pem"}})
    assert node.tls == Tls(enabled=True, ca_file="/etc/ca.pem")
    assert node_from_mapping(node_to_mapping(node)) == node
    other = changed(node, {"tls": {"verify": False}})
    assert other.tls == Tls(enabled=True, ca_file="/etc/ca.pem", verify=False)
    assert not node_from_mapping(PACS).tls.enabled


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        (True, "tls of node 'pacs'"),
        ({"cafile": "x"}, "Tls of node 'pacs' has no cafile. Did you mean ca_file?"),
        ({"enabled": "yes"}, "enabled of node 'pacs' is true or false, not 'yes'"),
        ({"ca_file": 5}, "ca_file of node 'pacs' is a text, not 5"),
        ({"key_file": "key.pem"}, "key without its certificate"),
    ],
)
def test_tls_settings_that_make_no_sense_are_told(tls: object, said: str) -> None:
    assert said in refused(PACS | {"tls": tls})
