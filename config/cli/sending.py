"""``plantao send``: makes a send command of what was typed, puts it on the queue, and may wait for its result."""

import base64
import mimetypes
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote, urlsplit

import typer

from config.cli.asking import Asking, ChannelArgument, ClinicArgument
from config.cli.times import FORMS, read_time
from config.cli.waiting import await_result
from protocol.commands import MAX_INLINE_MEDIA
from protocol.errors import InvalidInputError
from protocol.subjects import Priority

TIMEOUT_S: Final = 60.0
_KINDS: Final = ("image", "audio", "video", "document")
Kind = Literal["image", "audio", "video", "document"]
_UNNAMED: Final = "application/octet-stream"


def _file(flag: str, help: str) -> Any:
    return typer.Option(flag, metavar="FILE", help=f"{help}, at most 512 KiB.", exists=True, dir_okay=False)


ToOption = Annotated[str, typer.Option("--to", metavar="NUMBER", help="Recipient: E.164 digits or a WhatsApp JID.")]
TextOption = Annotated[str | None, typer.Option("--text", help="The words.")]
ImageOption = Annotated[Path | None, _file("--image", "An image")]
AudioOption = Annotated[Path | None, _file("--audio", "A sound")]
VideoOption = Annotated[Path | None, _file("--video", "A video")]
DocumentOption = Annotated[Path | None, _file("--document", "Any file, shown under its name")]
UrlOption = Annotated[
    str | None,
    typer.Option("--media-url", metavar="URL", help="A medium on the web, fetched when it is sent; with --as."),
]
AsOption = Annotated[Kind | None, typer.Option("--as", help="What the medium at --media-url is.")]
CaptionOption = Annotated[str | None, typer.Option("--caption", help="Words under an image, video or document.")]
VoiceOption = Annotated[bool, typer.Option("--voice", help="Show the audio as a voice note (Ogg Opus).")]
AtOption = Annotated[str | None, typer.Option("--at", metavar="TIME", help=f"Not before: {FORMS}.")]
ExpiresOption = Annotated[str | None, typer.Option("--expires", metavar="TIME", help="Not sent after this.")]
DeliverByOption = Annotated[
    str | None, typer.Option("--deliver-by", metavar="TIME", help="If not delivered by then, a `late` result.")
]
IdOption = Annotated[str | None, typer.Option("--id", help="Idempotency key: the same id sends the same message once.")]
PriorityOption = Annotated[Priority, typer.Option("--priority", help="Which queue.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for the result; exit code 1 unless it is sent.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="S", min=1, max=86_400, help="Seconds to wait.")]


def send(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    to: ToOption,
    text: TextOption = None,
    image: ImageOption = None,
    audio: AudioOption = None,
    video: VideoOption = None,
    document: DocumentOption = None,
    media_url: UrlOption = None,
    kind: AsOption = None,
    caption: CaptionOption = None,
    voice: VoiceOption = False,
    at: AtOption = None,
    expires: ExpiresOption = None,
    deliver_by: DeliverByOption = None,
    id: IdOption = None,
    priority: PriorityOption = Priority.NORMAL,
    wait: WaitOption = False,
    timeout: TimeoutOption = TIMEOUT_S,
) -> None:
    """Put a message on a channel's queue; the channel sends it as soon as it can."""
    if media_url is not None and (text is not None or any((image, audio, video, document))):
        raise InvalidInputError("--media-url", "to go without words and files")
    if media_url is None and kind is not None:
        raise InvalidInputError("--as", "to go with --media-url")
    files = {"image": image, "audio": audio, "video": video, "document": document}
    times = Times(at, expires, deliver_by)
    body = {
        "v": 1,
        "id": id or f"cli-{uuid.uuid4().hex}",
        "to": to,
        **(content(text, files, caption, voice) if media_url is None else linked(media_url, kind, caption, voice)),
        **times.fields(datetime.now().astimezone()),
    }
    queued = asking.node.post("clinics", clinic, "channels", channel, "send", body=body, priority=priority.value)
    if wait:
        await_result(asking, clinic, channel, queued["id"], timeout)
    else:
        asking.out.say(f"Queued as {queued['id']}.", queued)


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a command as they were typed."""

    at: str | None
    expires: str | None
    deliver_by: str | None

    def fields(self, now: datetime) -> dict[str, str]:
        """As they stand in the command. Raises InvalidInputError."""
        typed = {
            "not_before": ("--at", self.at),
            "expires_at": ("--expires", self.expires),
            "deliver_by": ("--deliver-by", self.deliver_by),
        }
        return {field: read_time(option, text, now) for field, (option, text) in typed.items() if text is not None}


def content(text: str | None, files: dict[str, Path | None], caption: str | None, voice: bool) -> dict[str, Any]:
    """What a command says, of its words or its one file.

    Raises:
        InvalidInputError: options that do not go together, or a file that cannot be sent.
    """
    given = [(kind, path) for kind, path in files.items() if path is not None]
    if len(given) + (text is not None) != 1:
        raise InvalidInputError("--text", f"the words to send, or one file with --{', --'.join(_KINDS)}")
    kind, path = given[0] if given else ("text", None)
    if voice and kind != "audio":
        raise InvalidInputError("--voice", "to go with --audio")
    if caption is not None and kind not in ("image", "video", "document"):
        raise InvalidInputError("--caption", "to go with --image, --video or --document")
    if path is None:
        return {"type": "text", "text": text}
    media = _media(kind, path) | ({} if caption is None else {"caption": caption}) | ({"voice": True} if voice else {})
    return {"type": kind, "media": media}


def linked(url: str, kind: str | None, caption: str | None, voice: bool) -> dict[str, Any]:
    """What a command says whose medium is on the web; a document is shown under the last part of its address.

    Raises:
        InvalidInputError: it does not say what it is.
    """
    if kind is None:
        raise InvalidInputError("--as", f"what is at --media-url: {', '.join(_KINDS)}")
    media: dict[str, Any] = {"url": url}
    if kind == "document":
        media["filename"] = unquote(urlsplit(url).path).rpartition("/")[2] or "document"
    said = ({"caption": caption} if caption else {}) | ({"voice": True} if voice else {})
    return {"type": kind, "media": media | said}


def _media(kind: str, path: Path) -> dict[str, str]:
    option, mime = f"--{kind}", mimetypes.guess_type(path.name)[0]
    if kind != "document" and (mime is None or not mime.startswith(f"{kind}/")):
        examples = {"image": ".jpg or .png", "audio": ".ogg or .mp3", "video": ".mp4"}[kind]
        raise InvalidInputError(option, f"a file whose name ends like that of {kind}, such as {examples}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(option, f"a readable file: {error.strerror}") from error
    if not 0 < len(data) <= MAX_INLINE_MEDIA:
        raise InvalidInputError(option, f"a file of 1 to {MAX_INLINE_MEDIA} bytes, got {len(data)}")
    media = {"data": base64.b64encode(data).decode(), "mime": mime or _UNNAMED}
    return media | {"filename": path.name} if kind == "document" else media
