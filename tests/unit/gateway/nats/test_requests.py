"""What may be asked."""

import pytest

from gateway.nats.requests import OF_CHANNEL, OF_CLINIC, MarkReadBody, answer_of
from protocol.codec import decode, encode
from protocol.errors import InvalidBodyError
from protocol.operations import LONGEST_WA_ID, MOST_WA_IDS
from protocol.subjects import ClinicVerb, Verb
from protocol.views import NumberCheck


def test_every_verb_can_be_asked() -> None:
    assert set(OF_CHANNEL) == set(Verb)
    assert set(OF_CLINIC) == set(ClinicVerb)


def test_what_has_no_outcome_is_answered_all_the_same() -> None:
    assert answer_of(None) == {"v": 1}
    assert answer_of(NumberCheck(phone="5511", on_whatsapp=True)) == {
        "v": 1,
        "phone": "5511",
        "on_whatsapp": True,
        "jid": None,
    }


def test_as_many_and_as_long_ids_can_be_asked_about_as_the_node_takes_and_no_more() -> None:
    def read(number: int, length: int) -> MarkReadBody:
        return decode(encode({"chat": "5511988887777", "ids": ["x" * length] * number}), MarkReadBody)

    assert len(read(MOST_WA_IDS, LONGEST_WA_ID).ids) == MOST_WA_IDS
    for number, length in ((MOST_WA_IDS + 1, 1), (1, LONGEST_WA_ID + 1)):
        with pytest.raises(InvalidBodyError, match="ids"):
            read(number, length)
