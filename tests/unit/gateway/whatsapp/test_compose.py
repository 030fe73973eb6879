"""Outgoing messages."""

from typing import Any

from gateway.whatsapp import compose
from gateway.whatsapp.library import proto
from protocol.ids import Address
from protocol.port import Quote, SendImage, SendReaction, SendText

TO = "5511@s.whatsapp.net"


def secret(size: int) -> bytes:
    return b"s" * size


def test_plain_text_is_a_conversation_whatever_it_looks_like() -> None:
    message = compose.text_message(SendText(to=TO, text="@5511999 https://x.org"), random=secret)
    assert message.conversation == "@5511999 https://x.org"
    assert not message.HasField("extendedTextMessage")
    assert message.messageContextInfo.messageSecret == b"s" * 32


def test_each_message_has_a_secret_of_its_own() -> None:
    secrets = {compose.text_message(SendText(to=TO, text="x")).messageContextInfo.messageSecret for _ in range(5)}
    assert len(secrets) == 5
    assert {len(each) for each in secrets} == {32}


def test_a_reply_names_what_it_answers() -> None:
    quote = Quote(wa_id="3A", author="7755@lid")
    extended = compose.text_message(SendText(to=TO, text="yes", quote=quote)).extendedTextMessage
    assert extended.text == "yes"
    assert (extended.contextInfo.stanzaID, extended.contextInfo.participant) == ("3A", "7755@lid")
    assert extended.contextInfo.HasField("quotedMessage")


def test_an_image_carries_its_upload() -> None:
    upload: Any = proto.UploadResponse(
        url="https://x/y",
        DirectPath="/y",
        Handle="",
        MediaKey=b"k",
        FileEncSHA256=b"e",
        FileSHA256=b"p",
        FileLength=9,
    )
    quote = Quote(wa_id="3A", author="7755@lid")
    request = SendImage(to=TO, data=b"x" * 9, mime="image/webp", caption="look", quote=quote)
    message = compose.image_message(request, upload, random=secret)
    image = message.imageMessage
    assert (image.URL, image.directPath, image.mediaKey, image.fileLength) == ("https://x/y", "/y", b"k", 9)
    assert (image.fileEncSHA256, image.fileSHA256) == (b"e", b"p")
    assert (image.mimetype, image.caption, image.contextInfo.stanzaID) == ("image/webp", "look", "3A")
    assert message.messageContextInfo.messageSecret == b"s" * 32
    bare = compose.image_message(SendImage(to=TO, data=b"x", mime="image/png"), upload).imageMessage
    assert not bare.HasField("caption")
    assert not bare.HasField("contextInfo")


def test_a_reaction_names_its_message_and_when() -> None:
    request = SendReaction(to=TO, target="3A", from_me=True, emoji="")
    reaction = compose.reaction_message(request, now=lambda: 1.5).reactionMessage
    assert (reaction.key.ID, reaction.key.fromMe, reaction.key.remoteJID) == ("3A", True, TO)
    assert (reaction.text, reaction.senderTimestampMS) == ("", 1500)
    assert reaction.HasField("text")


def test_a_jid_is_complete() -> None:
    jid = compose.jid(Address("5511", "lid"))
    assert jid.IsInitialized()
    assert (jid.User, jid.Server, jid.Device) == ("5511", "lid", 0)
