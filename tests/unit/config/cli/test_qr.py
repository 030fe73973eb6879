from hypothesis import given
from hypothesis import strategies as st

from config.cli.qr import half_blocks

CODE = "2@" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/" * 6


def test_lines_are_half_as_many_as_columns_and_equally_wide() -> None:
    lines = half_blocks(CODE, inverted=False)

    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) == (len(lines[0]) + 1) // 2


def test_a_whatsapp_code_fits_an_ordinary_terminal() -> None:
    assert len(half_blocks(CODE, inverted=False)[0]) <= 80


def test_the_finder_pattern_is_where_it_should_be() -> None:
    lines = half_blocks(CODE, inverted=False)

    assert lines[0].strip() == ""
    assert lines[1].startswith("  █▀▀▀▀▀█ ")
    assert lines[4].startswith("  ▀▀▀▀▀▀▀ ")


@given(st.text(alphabet="ABCabc123@,+/=", min_size=1, max_size=300))
def test_inverted_every_module_is_the_other_way_round(code: str) -> None:
    other = str.maketrans(" ▀▄█", "█▄▀ ")
    plain, inverted = half_blocks(code, inverted=False), half_blocks(code, inverted=True)

    assert [line.translate(other) for line in plain][:-1] == inverted[:-1]
