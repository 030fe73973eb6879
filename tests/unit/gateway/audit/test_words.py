"""What may stand in an entry."""

import pytest

from gateway.audit.words import MOST_DETAILS, check, detail_text
from protocol.errors import InvalidIdError


@pytest.mark.parametrize(
    "value",
    [
        "404", "cut_off", "no_key", "0.1.0", "0123456789abcdef", "1234567890123456", "127.0.0.1", "192.168.100.200",
        "2001:db8:1234:5678::/64", "::1", "999999", "a1b2/c3",
    ],
)  # fmt: skip
def test_short_words_counts_versions_addresses_and_our_own_ids_may(value: str) -> None:
    assert detail_text({"what": value}) == f'{{"what":"{value}"}}'


@pytest.mark.parametrize(
    "value",
    [
        "Maria", "maria silva", "5511999998888", "+5511999998888", "55.11.99999.8888", "to-5511999998888",
        "5511999998888@s.whatsapp.net", "m@x", "", "x" * 65, "olá", "a\nb", "11-99999-8888", "2026-11-28",
    ],
)  # fmt: skip
def test_names_numbers_and_texts_may_not(value: str) -> None:
    with pytest.raises(ValueError, match="detail what") as raised:
        detail_text({"what": value})
    assert not value or value not in str(raised.value)


def test_details_are_few_and_in_order() -> None:
    assert detail_text({"b": "1", "a": "2"}) == '{"a":"2","b":"1"}'
    assert detail_text(None) == "{}"
    with pytest.raises(ValueError, match="at most"):
        detail_text({"a" * n: "1" for n in range(1, MOST_DETAILS + 2)})
    with pytest.raises(ValueError, match="name"):
        detail_text({"Maria": "1"})


@pytest.mark.parametrize(
    ("who", "action", "outcome"),
    [("Maria Silva", "a.b", "done"), ("node", "connect", "done"), ("node", "a.b", "perhaps"), ("", "a.b", "done")],
)
def test_who_action_and_outcome_are_words_of_ours(who: str, action: str, outcome: str) -> None:
    with pytest.raises(ValueError):
        check(who, action, outcome, None, None)
    check("nats:clinic", "channel.mark_read", "asked", "acme", "front")


def test_clinic_and_channel_are_identifiers() -> None:
    with pytest.raises(InvalidIdError):
        check("node", "a.b", "done", "../x", None)
    with pytest.raises(InvalidIdError):
        check("node", "a.b", "done", "acme", "5511@s")
