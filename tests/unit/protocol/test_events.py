import re

from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import decode_raw, encode
from protocol.events import Event, ResultEvent, message_id, stable_hash
from tests.unit.protocol.shapes import values_of

texts = st.lists(st.text(max_size=5), max_size=4)


def test_a_message_id_is_the_same_in_every_version() -> None:
    assert message_id("recepcao", "3EB0", "message") == "b72331d308ebb26beea8bf871bceb1e1"
    assert stable_hash(()) == "cae66941d9efbd404e4d88758ea67670"


@given(texts, texts)
def test_no_two_sequences_run_together(one: list[str], other: list[str]) -> None:
    assert (stable_hash(one) == stable_hash(other)) == (one == other)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.data())
def test_parts_cut_elsewhere_give_another_id(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    again = [whole[:cut], whole[cut:]]
    assert (message_id("recepcao", *parts) == message_id("recepcao", *again)) == (parts == again)


def test_an_id_depends_on_channel_and_order() -> None:
    ids = {
        message_id("a", "b", "c"),
        message_id("a", "c", "b"),
        message_id("b", "a", "c"),
        message_id("ab", "c"),
        message_id("a", "bc"),
        message_id("a", "b", "c", ""),
        message_id("abc"),
    }
    assert len(ids) == 7
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


@given(st.sampled_from(Event.__subclasses__()).flatmap(values_of))
def test_every_event_says_its_version_clinic_and_channel(event: Event) -> None:
    fields = decode_raw(encode(event))
    assert fields["v"] == 1
    assert (fields["clinic"], fields["channel"]) == (event.clinic, event.channel)
    assert "from_" not in fields


def test_a_result_is_that_of_a_first_run_unless_it_says_so() -> None:
    result = ResultEvent(clinic="acme", channel="recepcao", id="a", status="sent")
    assert (result.run, result.repeat, result.attempts) == (1, False, 0)
