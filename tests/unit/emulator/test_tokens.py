"""The token tables, from the library that is installed."""

import _ctypes
from pathlib import Path

import pytest

from tests.emulator.tokens import installed_tokens, library_path, load_tokens


def test_the_tables_have_the_sizes_the_format_gives_them() -> None:
    tokens = installed_tokens()
    assert len(tokens.single) == 236
    assert [len(texts) for texts in tokens.double] == [256] * 4


def test_the_tables_hold_the_words_of_the_protocol() -> None:
    tokens = installed_tokens()
    assert tokens.single[:3] == ("", "xmlstreamstart", "xmlstreamend")
    assert {"iq", "message", "s.whatsapp.net", "receipt"} <= set(tokens.single)
    assert tokens.double[0][0] == "read-self"


def test_reading_again_gives_the_same() -> None:
    assert load_tokens(library_path()) == installed_tokens()


def test_a_library_without_tables_is_refused() -> None:
    with pytest.raises(LookupError, match="no token tables"):
        load_tokens(Path(_ctypes.__file__))
