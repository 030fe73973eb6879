"""Kinds of messages, in an inbox."""

import hashlib

from tests.emulator.api import File
from tests.emulator.content import read, write_file, write_reaction, write_text
from tests.emulator.media_store import MediaStore
from tests.emulator.schemas import Message


def test_a_text_and_a_reply_are_read_as_written() -> None:
    media = MediaStore()
    assert read(write_text("oi", "", "5511").message, media) == {"type": "text", "text": "oi"}
    reply = read(write_text("oi", "ID", "5511").message, media)
    assert reply == {"type": "text", "text": "oi", "about": "ID", "about_text": ""}


def test_a_reaction_tells_what_it_is_about() -> None:
    message = write_reaction("👍", "ID", "5511", 1.0).message
    assert read(message, MediaStore()) == {"type": "reaction", "text": "👍", "about": "ID"}


def test_an_image_is_opened_when_its_file_is_there() -> None:
    media = MediaStore()
    image = File(kind="image", data=b"png", mime="image/png", caption="legenda")
    message = write_file(image, "", "5511", media).message
    seen = read(message, media)
    assert (seen["type"], seen["size"], seen["sha256"]) == ("image", 3, hashlib.sha256(b"png").hexdigest())
    assert (seen["caption"], seen["mime"]) == ("legenda", "image/png")
    assert read(message, MediaStore())["type"] == "image_missing"
    message.imageMessage.mediaKey = bytes(32)
    assert read(message, media)["type"] == "image_unreadable"


def test_files_of_each_kind_are_read_as_written() -> None:
    media = MediaStore()
    voice = File(kind="audio", data=b"ogg", mime="audio/ogg", voice=True)
    written = write_file(voice, "ID", "5511", media)
    seen = read(written.message, media)
    assert written.media_type == "ptt"
    assert (seen["type"], seen["voice"], seen["size"], seen["about"]) == ("audio", True, 3, "ID")
    video = File(kind="video", data=b"mp4", mime="video/mp4", caption="olha")
    assert read(write_file(video, "", "5511", media).message, media)["caption"] == "olha"
    document = File(kind="document", data=b"pdf", mime="application/pdf", filename="a.pdf", caption="laudo")
    seen = read(write_file(document, "", "5511", media).message, media)
    assert (seen["type"], seen["filename"], seen["caption"]) == ("document", "a.pdf", "laudo")


def test_an_unknown_kind_shows_as_its_name() -> None:
    message = Message()
    message.locationMessage.name = "aqui"
    assert read(message, MediaStore()) == {"type": "locationMessage"}
    assert read(Message(), MediaStore()) == {"type": "empty"}
