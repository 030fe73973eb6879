import io

from PIL import Image

from gateway.http.channels import draw

CODE = "2@" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/" * 6


def test_a_qr_code_is_a_black_on_white_picture_with_a_quiet_zone() -> None:
    with Image.open(io.BytesIO(draw(CODE))) as picture:
        assert picture.format == "PNG"
        width, height = picture.size
        grey = picture.convert("L")

    assert width == height
    border = 4 * 8
    assert grey.crop((0, 0, width, border)).getextrema() == (255, 255)
    assert grey.getpixel((border, border)) == 0
