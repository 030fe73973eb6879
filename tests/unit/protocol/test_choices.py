from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest

from protocol.choices import choices
from protocol.codec import decode
from protocol.errors import InvalidBodyError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct):
    colour: Colour | None = None
    size: Annotated[int, msgspec.Meta(ge=1)] = 1


class Outer(msgspec.Struct, rename={"own": "its"}):
    v: Literal[1, 2] = 1
    own: Annotated[Colour, msgspec.Meta(title="Own")] | None = None
    inner: Inner | None = None
    many: list[Inner] = []
    pair: tuple[Colour, ...] = ()
    named: dict[str, frozenset[Colour]] = {}


BOTH = ("red", "blue")


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("v", ("1", "2")),
        ("its", BOTH),
        ("inner.colour", BOTH),
        ("many[3].colour", BOTH),
        ("pair[0]", BOTH),
        ("named[...][0]", BOTH),
        ("own", ()),
        ("inner", ()),
        ("inner.size", ()),
        ("inner.colour.more", ()),
        ("nothing", ()),
        ("", ()),
    ],
)
def test_what_a_field_may_be_is_found_by_its_path(path: str, values: tuple[str, ...]) -> None:
    assert choices(Outer, path) == values


def test_the_whole_may_be_an_enumeration() -> None:
    assert choices(Colour, "") == BOTH


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"many": [{}, {"colour": "pink"}]}', "many[1].colour"),
        (b'{"pair": ["red", "pink"]}', "pair[1]"),
        (b'{"named": {"a": ["pink"]}}', "named[...][0]"),
    ],
)
def test_an_error_names_what_may_be_given(body: bytes, field: str) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        decode(body, Outer)
    assert (caught.value.field, caught.value.expected) == (field, "one of red, blue; got 'pink'")


def test_an_error_for_a_key_names_no_value() -> None:
    with pytest.raises(InvalidBodyError, match="one of its known values; got 'pink'"):
        decode(b'{"pink": 1}', dict[Colour, int])
