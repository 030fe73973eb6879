import pytest

from gateway.whatsapp.conduct import MOST_OWED, MOST_UNASKED, PERIOD_S, BreachError, Conduct, words
from protocol.interfaces import INBOUND_CREDIT


def test_records_beyond_credit_and_what_a_port_holds_at_its_end_are_a_breach() -> None:
    conduct = Conduct()
    conduct.granted(3)
    for _ in range(INBOUND_CREDIT + 3 + MOST_OWED):
        conduct.record()
    with pytest.raises(BreachError, match="records"):
        conduct.record()


def test_what_nobody_asked_for_is_counted_by_the_period() -> None:
    conduct = Conduct()
    for period in range(3):
        for _ in range(MOST_UNASKED):
            conduct.unasked(period * PERIOD_S)
    with pytest.raises(BreachError, match="nobody asked for"):
        conduct.unasked(2 * PERIOD_S + 1)


def test_words_are_one_short_line() -> None:
    assert words("a\x1b[31m\nb\u202e") == "a [31m b "
    assert len(words("x" * 10_000)) == 500
