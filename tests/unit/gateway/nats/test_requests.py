"""What may be asked."""

from gateway.nats.requests import OF_CHANNEL, OF_CLINIC, answer_of
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
