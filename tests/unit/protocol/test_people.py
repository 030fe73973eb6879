from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import InvalidInputError
from protocol.people import is_about, objects_of, parse_person, with_variants

ANA = "5511988880001"
JIDS = frozenset({f"{ANA}@s.whatsapp.net", "77123@lid"})

bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("said", [ANA, f"+{ANA}", f"{ANA}@s.whatsapp.net"])
def test_a_person_is_known_by_number_with_and_without_the_ninth_digit(said: str) -> None:
    assert parse_person(said) == {f"{ANA}@s.whatsapp.net", "551188880001@s.whatsapp.net"}


def test_the_number_without_the_ninth_digit_is_the_same_person() -> None:
    assert with_variants(["551188880001@s.whatsapp.net"]) == parse_person(ANA)


@pytest.mark.parametrize("number", ["551133330001", "14155550123", "5511988880001234"[:15]])
def test_other_numbers_have_no_variants(number: str) -> None:
    jid = f"{number}@s.whatsapp.net"
    assert with_variants([jid]) == {jid}


def test_a_group_is_no_person() -> None:
    with pytest.raises(InvalidInputError, match="group"):
        parse_person("5511-123@g.us")


@pytest.mark.parametrize(
    "body",
    [
        {"to": f"+{ANA}"},
        {"from": "77123@lid", "text": "hello"},
        {"from_phone": ANA},
        {"lost": [{"chat": "x"}, {"chat": f"{ANA}@s.whatsapp.net"}]},
        {"body": {"to": ANA}},
    ],
)
def test_what_names_a_person_is_about_them(body: Any) -> None:
    assert is_about(body, JIDS)


@pytest.mark.parametrize(
    "body",
    [
        {"text": ANA, "to": "5511988880002"},
        {"caption": f"call {ANA}"},
        {"push_name": ANA},
        {"to": ANA + "0"},
        None,
        ANA[1:],
    ],
)
def test_what_only_mentions_their_number_is_not(body: Any) -> None:
    assert not is_about(body, JIDS)


@given(bodies)
def test_whatever_the_body_is_it_can_be_looked_at(body: Any) -> None:
    assert is_about(body, frozenset()) is False
    assert list(objects_of(body)) == [] or isinstance(body, dict)


@given(st.dictionaries(st.sampled_from(["meta", "nested", "to"]), bodies, max_size=3))
def test_an_address_is_found_however_deep_it_is(body: dict[str, Any]) -> None:
    assert is_about({"a": [body, {"b": {"to": ANA}}]}, JIDS)
