from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.sealing import BODY, CLAIM, COMMAND, ID, JID, LOOKUPS, OVERHEAD, Seal, seal_of
from gateway.vault.keys import DataKey, new_key
from protocol.errors import InvalidBodyError, WrongKeyError

KEY = DataKey(b"\x01" * 32)
SEAL = Seal("acme", KEY)
JID_OF_ANA = "5511987654321@s.whatsapp.net"

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.binary(max_size=300), st.integers(0, 2**63 - 1))
def test_what_is_sealed_for_a_row_is_opened_for_it(value: bytes, row: int) -> None:
    sealed = SEAL.seal(BODY, row, value)
    assert SEAL.open(BODY, row, sealed) == value
    assert len(sealed) == len(value) + OVERHEAD


@given(texts, texts, st.sampled_from(LOOKUPS), st.sampled_from(LOOKUPS))
def test_tokens_are_equal_if_and_only_if_values_and_kinds_are(one: str, other: str, kind: str, of: str) -> None:
    assert (SEAL.token(kind, one) == SEAL.token(of, other)) == ((kind, one) == (of, other))


def test_the_same_value_is_never_sealed_the_same() -> None:
    assert len({SEAL.seal(BODY, 1, b"x") for _ in range(100)}) == 100


@given(st.binary(max_size=60), st.data())
def test_a_changed_bit_is_found_out(value: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SEAL.seal(BODY, 1, value))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidBodyError):
        SEAL.open(BODY, 1, bytes(sealed))


@pytest.mark.parametrize(
    ("seal", "kind", "row"),
    [
        (Seal("vila", KEY), BODY, 1),
        (Seal("acme", new_key()), BODY, 1),
        (SEAL, COMMAND, 1),
        (SEAL, BODY, 2),
        (SEAL, BODY, "1/1"),
    ],
    ids=["another clinic", "another key", "another kind", "another row", "another sort of row"],
)
def test_it_is_of_no_use_in_another_place(seal: Seal, kind: str, row: int | str) -> None:
    with pytest.raises(InvalidBodyError):
        seal.open(kind, row, SEAL.seal(BODY, 1, b"x"))


@pytest.mark.parametrize("damaged", [b"", b"\0" * 11, b"\0" * 27, b"\0" * 28, None, "text", 7])
def test_what_was_never_sealed_is_not_opened(damaged: object) -> None:
    with pytest.raises(InvalidBodyError):
        SEAL.open(BODY, 1, damaged)  # type: ignore[arg-type]


def test_a_token_says_nothing_without_the_key() -> None:
    others = {Seal("acme", new_key()).token(JID, JID_OF_ANA) for _ in range(10)}
    assert SEAL.token(JID, JID_OF_ANA) not in others
    assert len(others) == 10


def test_tokens_and_what_is_sealed_stay_readable_from_one_version_to_the_next() -> None:
    assert SEAL.token(ID, "a") == "53363b175a12d8f5e4a0229802098117"
    assert SEAL.token(CLAIM, "a") == "9271269fb2bff712b30eaad6fc6b6c67"
    assert (
        SEAL.open(BODY, 1, bytes.fromhex("3a57c3d490341fbf1e9ad4790c23644827fc85002fd921aa0277b9a648739f42"))
        == "Olá".encode()
    )


def test_a_file_is_under_the_key_that_it_says() -> None:
    other = new_key()
    seal = seal_of("acme", "clinic.db", [other, KEY], KEY.id)
    assert seal.key_id == KEY.id
    assert seal.open(BODY, 1, SEAL.seal(BODY, 1, b"x")) == b"x"


def test_a_key_that_the_clinic_does_not_have_is_named_with_the_mend() -> None:
    other = replace(KEY, key=b"\x02" * 32)
    with pytest.raises(WrongKeyError) as caught:
        seal_of("acme", "/data/clinics/acme/clinic.db", [other], KEY.id)
    for part in ("clinic acme", "/data/clinics/acme/clinic.db", KEY.id.hex(), other.id.hex(), "put back"):
        assert part in str(caught.value)
