"""Outgoing messages."""

from typing import Any

from gateway.whatsapp import compose
from gateway.whatsapp.library import proto
from protocol.ids import Address
from protocol.port import MediaKind, Quote, SendMedia, SendReaction, SendText

TO = "5511@s.whatsapp.net"
SECRET = b"s" * 32
QUOTE = Quote(wa_id="3A", author="7755@lid")
UPLOAD: Any = proto.UploadResponse(
    url="https://x/y",
    DirectPath="/y",
    Handle="",
    MediaKey=b"k",
    FileEncSHA256=b"e",
    FileSHA256=b"p",
    FileLength=9,
)


def text(words: str, quote: Quote | None = None) -> SendText:
    return SendText(key="1:a", secret=SECRET, to=TO, text=words, quote=quote)


def media(kind: MediaKind, mime: str, **more: Any) -> SendMedia:
    return SendMedia(key="1:a", secret=SECRET, to=TO, kind=kind, data=b"x" * 9, mime=mime, **more)


def test_plain_text_is_a_conversation_whatever_it_looks_like() -> None:
    message = compose.text_message(text("@5511999 https://x.org"))
    assert message.conversation == "@5511999 https://x.org"
    assert not message.HasField("extendedTextMessage")
    assert message.messageContextInfo.messageSecret == SECRET


def test_a_reply_names_what_it_answers() -> None:
    message = compose.text_message(text("yes", QUOTE))
    extended = message.extendedTextMessage
    assert extended.text == "yes"
    assert (extended.contextInfo.stanzaID, extended.contextInfo.participant) == ("3A", "7755@lid")
    assert extended.contextInfo.HasField("quotedMessage")
    assert message.messageContextInfo.messageSecret == SECRET


def test_an_image_carries_its_upload() -> None:
    message = compose.media_message(media("image", "image/webp", caption="look", quote=QUOTE), UPLOAD)
    image = message.imageMessage
    assert (image.URL, image.directPath, image.mediaKey, image.fileLength) == ("https://x/y", "/y", b"k", 9)
    assert (image.fileEncSHA256, image.fileSHA256) == (b"e", b"p")
    assert (image.mimetype, image.caption, image.contextInfo.stanzaID) == ("image/webp", "look", "3A")
    assert message.messageContextInfo.messageSecret == SECRET
    bare = compose.media_message(media("image", "image/png"), UPLOAD).imageMessage
    assert not bare.HasField("caption")
    assert not bare.HasField("contextInfo")


def test_a_voice_note_is_ogg_with_opus_and_has_no_caption() -> None:
    voice = compose.media_message(media("audio", "audio/ogg", caption="x", voice=True, quote=QUOTE), UPLOAD)
    audio = voice.audioMessage
    assert (audio.PTT, audio.mimetype, audio.contextInfo.stanzaID) == (True, "audio/ogg; codecs=opus", "3A")
    music = compose.media_message(media("audio", "audio/mpeg"), UPLOAD).audioMessage
    assert (music.PTT, music.mimetype) == (False, "audio/mpeg")


def test_a_video_has_its_caption() -> None:
    video = compose.media_message(media("video", "video/mp4", caption="look"), UPLOAD).videoMessage
    assert (video.mimetype, video.caption, video.mediaKey) == ("video/mp4", "look", b"k")


def test_a_document_has_a_name_and_with_a_caption_an_envelope() -> None:
    bare = compose.media_message(media("document", "application/pdf", filename="exam.pdf"), UPLOAD)
    assert (bare.documentMessage.fileName, bare.documentMessage.title) == ("exam.pdf", "exam.pdf")
    message = compose.media_message(media("document", "application/pdf", caption="yours"), UPLOAD)
    inner = message.documentWithCaptionMessage.message.documentMessage
    assert (inner.caption, inner.fileName, inner.mediaKey) == ("yours", "document", b"k")
    assert message.messageContextInfo.messageSecret == SECRET


def test_a_reaction_names_its_message_and_when() -> None:
    request = SendReaction(key="1:a", secret=SECRET, to=TO, target="3A", from_me=True, emoji="")
    message = compose.reaction_message(request, now=lambda: 1.5)
    reaction = message.reactionMessage
    assert (reaction.key.ID, reaction.key.fromMe, reaction.key.remoteJID) == ("3A", True, TO)
    assert (reaction.text, reaction.senderTimestampMS) == ("", 1500)
    assert reaction.HasField("text")
    assert message.messageContextInfo.messageSecret == SECRET


def test_a_jid_is_complete() -> None:
    jid = compose.jid(Address("5511", "lid"))
    assert jid.IsInitialized()
    assert (jid.User, jid.Server, jid.Device) == ("5511", "lid", 0)
