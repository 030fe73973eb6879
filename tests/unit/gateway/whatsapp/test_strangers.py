"""What strangers say of themselves is bounded and clean, whatever it is."""

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.whatsapp import content
from gateway.whatsapp.library import e2e
from gateway.whatsapp.strangers import file_name, maybe_name, name, seconds
from protocol.port import LONGEST_NAME, Quote
from protocol.port_events import LONGEST_S, LONGEST_TEXT, MediaReference

ANY = st.text(max_size=400) | st.text("\x1b\x00\r\n\u202e\u2028./\\a", max_size=40)


@given(ANY)
def test_a_name_is_one_line_of_bounded_length_without_controls(text: str) -> None:
    found = name(text)
    assert len(found) <= LONGEST_NAME
    assert not any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in found)
    assert "\u202e" not in found
    assert name(found) == found


@pytest.mark.parametrize("text", ["Ana Lúcia", "家族", "👨‍👩‍👧 Família", "عائشة", "image/jpeg; q=1", "3EB0AA"])
def test_what_people_are_called_stays_as_it_is(text: str) -> None:
    assert name(text) == text


@given(ANY)
def test_a_file_name_leads_nowhere(text: str) -> None:
    found = file_name(text)
    assert found is None or ("/" not in found and "\\" not in found and found not in ("", ".", ".."))


def test_a_file_name_of_many_folders_is_one_name() -> None:
    assert file_name("../../etc/passwd") == ".._.._etc_passwd"
    assert file_name("..") is None
    assert maybe_name(" \r\n ") is None


@pytest.mark.parametrize(("said", "kept"), [(-1, 0.0), (3600, 3600.0), (1e300, LONGEST_S), (2**64, LONGEST_S)])
def test_a_duration_is_within_what_a_port_may_say(said: float, kept: float) -> None:
    assert seconds(said) == kept


def test_a_hostile_document_becomes_a_reference_that_main_takes() -> None:
    document = e2e.DocumentMessage(
        fileName="../\x1b]0;x\x07" + "x" * 5000,
        mimetype="a/b\r\n" + "y" * 5000,
        caption="z" * (LONGEST_TEXT + 1),
        fileSHA256=b"s" * 5000,
        contextInfo=e2e.ContextInfo(stanzaID="q" * 5000, participant="1\n" * 5000),
    )
    said = content.read(e2e.Message(documentMessage=document))
    assert said is not None
    for part, kind in ((said.media, MediaReference), (said.quote, Quote)):
        assert msgspec.convert(msgspec.to_builtins(part, builtin_types=(bytes,)), kind, builtin_types=(bytes,)) == part


def test_media_with_a_reference_beyond_all_measure_is_told_without_it() -> None:
    image = e2e.ImageMessage(caption="look", mediaKey=b"k" * 1_000_000)
    said = content.read(e2e.Message(imageMessage=image))
    assert said is not None
    assert (said.type, said.text, said.media) == ("image", "look", None)
