"""Reading message protobufs: each kind has its name, and no message, however odd, is an error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.whatsapp import content
from gateway.whatsapp.content import Content
from gateway.whatsapp.jids import bare_jid
from gateway.whatsapp.library import DecodeError, MessageKey, e2e
from protocol.port import Quote

CONTEXT = e2e.ContextInfo(stanzaID="3AQ", participant="7755:3@lid", isForwarded=True)


def protocol(kind: int, **fields: Any) -> Any:
    return e2e.Message(protocolMessage=e2e.ProtocolMessage(type=kind, **fields))


KEY = MessageKey(remoteJID="7755@lid", fromMe=False, ID="3AT")

SAID = [
    (e2e.Message(conversation="hi"), Content(type="text", text="hi")),
    (e2e.Message(conversation=""), Content(type="text", text="")),
    (
        e2e.Message(extendedTextMessage=e2e.ExtendedTextMessage(text="hi", contextInfo=CONTEXT)),
        Content(type="text", text="hi", quote=Quote(wa_id="3AQ", author="7755@lid"), forwarded=True),
    ),
    (
        e2e.Message(reactionMessage=e2e.ReactionMessage(key=KEY, text="👍")),
        Content(type="reaction", text="👍", target="3AT"),
    ),
    (protocol(e2e.ProtocolMessage.REVOKE, key=KEY), Content(type="revoke", target="3AT", revoked=True)),
    (
        protocol(e2e.ProtocolMessage.MESSAGE_EDIT, key=KEY, editedMessage=e2e.Message(conversation="new")),
        Content(type="edit", text="new", target="3AT", edited=True),
    ),
    (
        e2e.Message(
            editedMessage=e2e.FutureProofMessage(
                message=protocol(e2e.ProtocolMessage.MESSAGE_EDIT, key=KEY, editedMessage=e2e.Message(conversation="n"))
            )
        ),
        Content(type="edit", text="n", target="3AT", edited=True),
    ),
    (
        e2e.Message(locationMessage=e2e.LocationMessage(degreesLatitude=1, name="Clinic")),
        Content(type="location", text="Clinic"),
    ),
    (e2e.Message(contactMessage=e2e.ContactMessage(displayName="Ana")), Content(type="contact", text="Ana")),
    (e2e.Message(pollCreationMessageV3=e2e.PollCreationMessage(name="When?")), Content(type="poll", text="When?")),
    (e2e.Message(buttonsMessage=e2e.ButtonsMessage(contentText="x")), content.UNKNOWN),
]

SILENT = [
    e2e.Message(),
    e2e.Message(senderKeyDistributionMessage=e2e.SenderKeyDistributionMessage(groupID="1@g.us")),
    e2e.Message(messageContextInfo=e2e.MessageContextInfo(messageSecret=b"s" * 32)),
    protocol(e2e.ProtocolMessage.HISTORY_SYNC_NOTIFICATION),
    protocol(e2e.ProtocolMessage.APP_STATE_SYNC_KEY_SHARE),
]


@pytest.mark.parametrize(("message", "said"), SAID)
def test_a_message_says_what_it_says(message: Any, said: Content) -> None:
    assert content.read(message) == said
    message.messageContextInfo.messageSecret = b"s" * 32
    assert content.read(message) == said


@pytest.mark.parametrize("message", SILENT)
def test_talk_between_devices_is_not_a_message(message: Any) -> None:
    assert content.read(message) is None


@pytest.mark.parametrize(
    ("field", "kind", "fields"),
    [
        ("imageMessage", "image", {"caption": "c"}),
        ("videoMessage", "video", {"caption": "c"}),
        ("ptvMessage", "video", {}),
        ("audioMessage", "audio", {}),
        ("documentMessage", "document", {"fileName": "a.pdf", "caption": "c"}),
        ("stickerMessage", "sticker", {}),
    ],
)
def test_media_comes_with_a_reference_that_is_enough_to_fetch_it(field: str, kind: str, fields: dict[str, str]) -> None:
    message = e2e.Message()
    part = getattr(message, field)
    part.directPath, part.mediaKey, part.mimetype = "/v/1", b"k" * 32, "x/y"
    part.fileSHA256, part.fileEncSHA256, part.fileLength = b"\x01" * 32, b"\x02" * 32, 77
    for name, value in fields.items():
        setattr(part, name, value)
    if "JPEGThumbnail" in part.DESCRIPTOR.fields_by_name:
        part.JPEGThumbnail = b"t" * 5000
    part.contextInfo.CopyFrom(CONTEXT)

    said = content.read(message)

    assert said is not None
    assert said.type == kind
    assert said.quote == Quote(wa_id="3AQ", author="7755@lid")
    media = said.media
    assert media is not None
    assert (media.kind, media.mime, media.size, media.sha256) == (kind, "x/y", 77, "01" * 32)
    assert (media.caption, media.filename) == (fields.get("caption"), fields.get("fileName"))
    assert said.text == fields.get("caption")
    assert len(media.reference) < 300
    kept = getattr(e2e.Message.FromString(media.reference), field)
    assert (kept.directPath, kept.mediaKey, kept.fileEncSHA256, kept.fileLength) == (
        "/v/1",
        b"k" * 32,
        b"\x02" * 32,
        77,
    )


def test_every_reader_is_for_a_field_that_exists() -> None:
    assert set(content.READERS) <= set(e2e.Message.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize("field", sorted(e2e.Message.DESCRIPTOR.fields_by_name))
def test_no_kind_of_message_is_an_error(field: str) -> None:
    message = e2e.Message()
    if field == "conversation":
        message.conversation = "x"
    else:
        getattr(message, field).SetInParent()
    said = content.read(message)
    assert said is None or said.type


@given(st.binary(max_size=200))
def test_no_bytes_are_an_error(data: bytes) -> None:
    try:
        message = e2e.Message.FromString(data)
    except DecodeError:
        return
    content.read(message)


@pytest.mark.parametrize(
    ("jid", "bare"), [("5511:12@lid", "5511@lid"), ("5511.0:3@lid", "5511@lid"), ("1-2@g.us", "1-2@g.us"), ("", "")]
)
def test_a_jid_loses_its_device(jid: str, bare: str) -> None:
    assert bare_jid(jid) == bare
