"""A QR code in half blocks: two modules to a character, which is square in a terminal."""

from typing import Final

_BORDER: Final = 2
_BLOCKS: Final = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def half_blocks(code: str, *, inverted: bool) -> list[str]:
    """``code`` as lines of half blocks.

    Ink is what the terminal draws: dark modules, for black on white; ``inverted``, light ones, for a dark terminal
    that shows no colours.
    """
    import qrcode

    drawn = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_L, border=_BORDER)
    drawn.add_data(code)
    drawn.make()
    rows = [[bool(dark) is not inverted for dark in row] for row in drawn.get_matrix()]
    if len(rows) % 2:
        rows.append([inverted] * len(rows[0]))
    return [
        "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
