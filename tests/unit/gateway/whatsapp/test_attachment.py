"""What we send as an image, a voice note and so on, and what not."""

import pytest

from gateway.whatsapp import attachment
from gateway.whatsapp.frames import MAX_MEDIA
from protocol.port import MediaKind, SendMedia


def media(kind: MediaKind, mime: str, data: bytes = b"x", *, voice: bool = False) -> SendMedia:
    return SendMedia(key="1:a", secret=b"s" * 32, to="5511@lid", kind=kind, data=data, mime=mime, voice=voice)


@pytest.mark.parametrize(
    "request_",
    [
        media("image", "image/jpeg"),
        media("image", "IMAGE/PNG"),
        media("video", "video/mp4"),
        media("audio", "audio/mpeg"),
        media("audio", "audio/ogg; codecs=opus"),
        media("audio", "audio/ogg", voice=True),
        media("document", "application/vnd.oasis.opendocument.text"),
        media("document", "text/plain; charset=utf-8"),
        media("document", "application/pdf", b"x" * MAX_MEDIA),
    ],
)
def test_what_phones_show_is_sent(request_: SendMedia) -> None:
    assert attachment.refusal(request_) is None


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (media("image", "image/gif"), "media_invalid"),
        (media("video", "video/x-matroska"), "media_invalid"),
        (media("audio", "audio/wav"), "media_invalid"),
        (media("audio", "audio/mpeg", voice=True), "media_invalid"),
        (media("document", "not a type"), "media_invalid"),
        (media("document", ""), "media_invalid"),
        (media("document", "text/plain;\r\nx"), "media_invalid"),
        (media("document", "application/pdf", b""), "media_invalid"),
        (media("document", "application/pdf", b"x" * (MAX_MEDIA + 1)), "media_invalid"),
        (media("sticker", "image/webp"), "unsupported"),
    ],
)
def test_what_phones_do_not_show_is_refused(request_: SendMedia, code: str) -> None:
    refusal = attachment.refusal(request_)
    assert refusal is not None
    assert refusal.code == code


@pytest.mark.parametrize(
    ("mime", "said"), [("audio/ogg", attachment.VOICE), ("audio/OGG;codecs=opus", attachment.VOICE), ("a/b", "a/b")]
)
def test_the_codec_of_ogg_is_named(mime: str, said: str) -> None:
    assert attachment.mime(media("audio", mime)) == said


def page(samples: int) -> bytes:
    return b"OggS\x00\x00" + samples.to_bytes(8, "little", signed=True) + b"rest"


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (page(0) + page(48_000 * 3), 3),
        (page(0) + page(48_001), 2),
        (page(-1), 0),
        (page(48_000 * 86_400), 86_400),
        (page(48_000 * 86_400 + 1), 0),
        (page(2**63 - 1), 0),
        (b"OggS", 0),
        (b"\xff\xfb mp3", 0),
        (b"", 0),
    ],
)
def test_an_ogg_file_says_how_long_it_plays(data: bytes, seconds: int) -> None:
    assert attachment.seconds(data) == seconds
