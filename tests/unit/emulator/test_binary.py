"""Binary XML: what is written is read back; what is hostile is refused."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.binary import JID, SERVER, DecodeError, Node, Value, installed_codec

CODEC = installed_codec()

names = st.one_of(
    st.sampled_from([text for text in CODEC.tokens.single if text]),
    st.sampled_from(CODEC.tokens.double[2]),
    st.text(min_size=1, max_size=40),
)
texts = st.one_of(
    names,
    st.text("0123456789-.", min_size=1, max_size=300),
    st.text("0123456789ABCDEF", min_size=1, max_size=300),
    st.text(min_size=256, max_size=300),
)
jids = st.one_of(
    st.builds(JID, st.text(min_size=1, max_size=20), st.sampled_from(["g.us", "newsletter", "lid"]), st.just(0)),
    st.builds(JID, names, st.sampled_from(["s.whatsapp.net", "lid", "hosted"]), st.integers(0, 255)),
    st.just(SERVER),
)
values: st.SearchStrategy[Value] = st.one_of(texts, jids)
attrs = st.dictionaries(names, values, max_size=4)
nodes: st.SearchStrategy[Node] = st.recursive(
    st.builds(Node, names, attrs, st.one_of(st.none(), st.binary(max_size=300))),
    lambda children: st.builds(Node, names, attrs, st.lists(children, min_size=1, max_size=4)),
    max_leaves=12,
)


@given(nodes)
def test_what_is_encoded_is_decoded_equal(node: Node) -> None:
    assert CODEC.decode(CODEC.encode(node)) == node


@given(nodes)
def test_compressed_nodes_are_read_as_well(node: Node) -> None:
    assert CODEC.decode(b"\x02" + zlib.compress(CODEC.encode(node)[1:])) == node


@given(st.binary(max_size=200))
def test_any_bytes_are_a_node_or_an_error(data: bytes) -> None:
    _node_or_error(data)


@given(nodes, st.data())
def test_a_damaged_node_is_a_node_or_an_error(node: Node, data: st.DataObject) -> None:
    encoded = bytearray(CODEC.encode(node))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] = data.draw(st.integers(0, 255))
    _node_or_error(bytes(encoded))
    _node_or_error(bytes(encoded[:position]))


def _node_or_error(data: bytes) -> None:
    with suppress(DecodeError):
        assert isinstance(CODEC.decode(data), Node)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\x00" + b"\xf8\x02\x03" * 100 + b"\x00",
        b"\x02not zlib",
        b"\x02" + zlib.compress(bytes(1 << 25)),
        CODEC.encode(Node("iq")) + b"more",
    ],
    ids=["nothing", "flag only", "nil", "too deep", "not zlib", "too large", "too long"],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        CODEC.decode(data)


@pytest.mark.parametrize("jid", [JID("1", "g.us", 1), JID("1", "lid", 256)])
def test_an_address_that_has_no_bytes_is_refused(jid: JID) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        CODEC.encode(Node("iq", {"to": jid}))


def test_empty_attributes_and_empty_lists_are_left_out() -> None:
    assert CODEC.decode(CODEC.encode(Node("iq", {"to": "", "id": "7"}, []))) == Node("iq", {"id": "7"})


def test_large_contents_and_many_children_have_longer_lengths() -> None:
    node = Node("list", {}, [Node("item", {}, bytes(size)) for size in (255, 256, 1 << 20)])
    many = Node("list", {}, [Node("item")] * 300)
    assert CODEC.decode(CODEC.encode(node)) == node
    assert CODEC.decode(CODEC.encode(many)) == many


def test_a_node_finds_its_descendants_and_attributes() -> None:
    jid = JID("5511", "lid", 3)
    node = Node("iq", {"to": jid, "id": "1"}, [Node("usync", {}, [Node("list", {}, b"x")])])
    found = node.child("usync", "list")
    assert found is not None
    assert found.data == b"x"
    assert node.child("usync", "query") is None
    assert (node.jid("to"), node.jid("id"), node.get("to"), node.get("gone")) == (jid, None, "5511:3@lid", "")


@given(st.builds(JID, st.from_regex(r"[0-9a-z]{1,15}", fullmatch=True), st.just("lid"), st.integers(0, 99)))
def test_addresses_are_parsed_as_they_are_printed(jid: JID) -> None:
    assert JID.parse(str(jid)) == jid
    assert jid.bare == JID(jid.user, "lid")


def test_a_server_is_an_address_without_user() -> None:
    assert JID.parse("s.whatsapp.net") == SERVER
