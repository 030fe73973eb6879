import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import InvalidAddressError, InvalidIdError, InvalidInputError
from protocol.ids import ADDRESS_PATTERN, Address, ClinicId, CommandId, check_command_id, check_name, mask

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
phones = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)


def as_clinic(text: str) -> bool:
    """Whether the type of a field takes what ``check_name`` judges."""
    try:
        msgspec.convert(text, ClinicId)
    except msgspec.ValidationError:
        return False
    return True


@given(names)
def test_an_identifier_is_taken_as_it_is(name: str) -> None:
    assert check_name("clinic", name) == name
    assert as_clinic(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "_a", "A", "a b", "a.b", "a/b", "..", "a\n", "\na", "ação", "a" * 64, "a*", "a>"]
)
def test_what_is_no_identifier_is_refused_by_function_and_field(name: str) -> None:
    with pytest.raises(InvalidIdError, match=r"^clinic: expected 1 to 63 of") as caught:
        check_name("clinic", name)
    assert caught.value.field == "clinic"
    assert not as_clinic(name)


@given(st.text(max_size=70))
def test_function_and_field_agree(name: str) -> None:
    try:
        check_name("clinic", name)
    except InvalidIdError:
        assert not as_clinic(name)
    else:
        assert as_clinic(name)


def test_an_identifier_without_an_end_is_shown_short() -> None:
    with pytest.raises(InvalidIdError) as caught:
        check_name("clinic", "x" * 1_000_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("id", ["a", "A:b_c-1", "x" * 128])
def test_a_command_id_is_taken(id: str) -> None:
    assert msgspec.convert(id, CommandId) == id


@pytest.mark.parametrize("id", ["", "x" * 129, "a.b", "a b", "a\n", "ação", "a*", "a>", "\x00"])
def test_what_is_no_command_id_is_refused(id: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(id, CommandId)


@given(phones)
def test_a_number_with_or_without_plus_is_a_person(phone: str) -> None:
    assert Address.parse(phone) == Address.parse(f"+{phone}") == Address(phone, "s.whatsapp.net")


users = st.from_regex(r"[0-9]{1,20}", fullmatch=True)
jids = st.tuples(users, st.sampled_from(["s.whatsapp.net", "lid", "g.us"]))
old_groups = st.tuples(st.builds("{}-{}".format, users, users), st.just("g.us"))


@given(jids | old_groups)
def test_a_jid_comes_back_as_it_was(parts: tuple[str, str]) -> None:
    address = Address.parse("@".join(parts))
    assert address == Address(*parts)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "123456",
        "0123456789",
        "1" * 16,
        "++5511987654321",
        "55 11 98765-4321",
        "5511987654321\n",
        "５５１１９８７６５４３２１",
        "5511987654321@c.us",
        "5511987654321@s.whatsapp.net\n",
        "5511987654321:3@s.whatsapp.net",
        "+5511987654321@s.whatsapp.net",
        "@lid",
        "1-2-3@g.us",
        "5511987654321-1@s.whatsapp.net",
        "1-2@lid",
        "status@broadcast",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidAddressError, match=f"got {len(text)} characters") as caught:
        Address.parse(text, "reply_to.from")
    assert caught.value.field == "reply_to.from"
    assert not re.search("[0-9]{4}", str(caught.value))


@given(st.text(st.sampled_from("0123456789+-() @.a")))
def test_all_but_the_last_two_digits_are_hidden_and_nothing_else_is(text: str) -> None:
    hidden = mask(text)
    assert len(hidden) == len(text)
    assert re.findall("[0-9]", hidden) == re.findall("[0-9]", text)[-2:]
    assert all(now == before or (now == "*" and before.isdigit()) for now, before in zip(hidden, text, strict=True))


@given(st.from_regex(r"[A-Za-z0-9_:-]{1,128}", fullmatch=True))
def test_the_id_of_a_command_is_taken_as_it_is(id: str) -> None:
    assert check_command_id(id) == id


@pytest.mark.parametrize("id", ["", "a b", "a\n", "ação", "a.b", "a/b", "a*", "x" * 129])
def test_what_cannot_be_the_id_of_a_command_is_refused_by_its_field(id: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_command_id(id, "message")
    assert caught.value.field == "message"


@given(st.one_of(st.from_regex(ADDRESS_PATTERN), st.text(max_size=40)))
def test_the_pattern_of_an_address_takes_what_is_one_and_nothing_else(text: str) -> None:
    try:
        Address.parse(text)
        parsed = True
    except InvalidAddressError:
        parsed = False

    assert (re.search(ADDRESS_PATTERN, text) is not None) is parsed
