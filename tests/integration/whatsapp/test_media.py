"""Media of every kind, both ways, without ffmpeg; a media server that takes the connection and never answers is in
``test_media_stalled``."""

import hashlib

import pytest

from protocol.port import FetchMedia, MediaFetched, MediaKind, Sent
from protocol.port_events import MessageReceived
from tests.emulator.api import File
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import answer_to, media

pytestmark = pytest.mark.asyncio(loop_scope="session")

OGG = b"OggS\x00\x02" + (0).to_bytes(8, "little") + b"OpusHead" + b"OggS\x00\x04" + (96_000).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("kind", "data", "mime", "said"),
    [
        ("image", b"\xff\xd8\xff an x-ray", "image/jpeg", "image/jpeg"),
        ("audio", b"ID3 music", "audio/mpeg", "audio/mpeg"),
        ("video", b"\x00\x00\x00\x18ftyp a film", "video/mp4", "video/mp4"),
        ("document", b"%PDF-1.7 a report", "application/pdf", "application/pdf"),
    ],
)
async def test_it_goes_out_unchanged(
    account: MakeAccount,
    emulator: EmulatorProcess,
    number: MakeNumber,
    kind: MediaKind,
    data: bytes,
    mime: str,
    said: str,
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    request = media(contact, kind, data, mime, caption="yours", filename="exam")
    answer = await answer_to(port, request)
    assert isinstance(answer, Sent)
    arrived = await emulator.wait_for_message(contact)
    assert (arrived.id, arrived.type, arrived.mime) == (answer.wa_id, kind, said)
    assert (arrived.sha256, arrived.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert arrived.caption == ("" if kind == "audio" else "yours")
    assert arrived.filename == ("exam" if kind == "document" else "")
    assert not arrived.voice
    assert await clinic.remains.ids_of([request.secret], clinic.device) == {request.secret: answer.wa_id}


async def test_a_voice_note_says_that_it_is_one_and_how_long(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    assert isinstance(await answer_to(port, media(contact, "audio", OGG, "audio/ogg", voice=True)), Sent)
    arrived = await emulator.wait_for_message(contact)
    assert (arrived.type, arrived.voice, arrived.seconds) == ("audio", True, 2)
    assert arrived.mime == "audio/ogg; codecs=opus"


@pytest.mark.parametrize(
    "file",
    [
        File(kind="image", data=b"\xff\xd8\xff an exam", mime="image/jpeg", caption="mine"),
        File(kind="audio", data=OGG, mime="audio/ogg; codecs=opus", voice=True),
        File(kind="video", data=b"\x00\x00\x00\x18ftyp a film", mime="video/mp4", caption="look"),
        File(kind="document", data=b"%PDF-1.7", mime="application/pdf", filename="exam.pdf"),
        File(kind="document", data=b"%PDF-1.7", mime="application/pdf", filename="exam.pdf", caption="my exam"),
    ],
)
async def test_it_comes_in_unchanged(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, file: File
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.send_file(contact, clinic.phone, file)
    message = await clinic.heard.until(MessageReceived)
    assert (message.type, message.text) == (file.kind, file.caption or None)
    found = message.media
    assert found is not None
    assert (found.kind, found.mime, found.size) == (file.kind, file.mime, len(file.data))
    assert (found.filename, found.caption) == (file.filename or None, file.caption or None)
    assert found.sha256 == hashlib.sha256(file.data).hexdigest()
    assert await port.call(FetchMedia(reference=found.reference), deadline=20) == MediaFetched(data=file.data)
