"""Attempts at sending: from a batch of commands that the ledger knows to have begun, to requests for the port. On the
loop.

A batch goes to the port as a whole, but for commands whose media has to be fetched first, or before which we are shown
typing: each of these follows by itself, which concerns no other chat. A command that cannot be made into a request is
answered in the port's stead.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import Final

from actors.channel import way
from actors.channel.context import Context
from actors.channel.parcel import Parcel
from protocol.codes import ErrorCode
from protocol.commands import Media, SendCommand
from protocol.errors import InvalidInputError, NotFoundError, PortError, StoreUnavailableError, UnavailableError
from protocol.ids import Address
from protocol.interfaces import Port, SendOutcome
from protocol.ledger import Accepted
from protocol.port import Failed, MediaKind, Quote, SendMedia, SendReaction, SendRequest, SendText, ShowPresence

MEDIA_TIMEOUT_S: Final = 60.0
PRESENCE_DEADLINE_S: Final = 20.0
UPLOAD_LIMIT_S: Final = 60.0
"""How long a port may upload before it sends (``gateway.whatsapp.work``)."""
_MIME: Final[dict[MediaKind, str]] = {
    "image": "image/jpeg",
    "audio": "audio/ogg; codecs=opus",
    "video": "video/mp4",
    "document": "application/octet-stream",
}


class NotSendableError(Exception):
    """The command can't be made into a request; holds the answer in the port's stead."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.answer = Failed(code=code.value, message=message)


class Outcomes:
    """From the loop to the actor: what has come since it last looked, announced by one message however much it is."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self._come: deque[SendOutcome] = deque()
        self._announced = False

    def put(self, outcomes: Iterable[SendOutcome]) -> None:
        """On the loop."""
        self._come.extend(outcomes)
        if not self._announced:
            self._announced = True
            asyncio.get_running_loop().call_soon(self._announce)

    def take(self) -> list[SendOutcome]:
        """In the actor's thread."""
        self._announced = False  # before looking: what comes from now on is announced again
        taken = []
        while self._come:
            taken.append(self._come.popleft())
        return taken


class Attempts:
    """Makes them, on the loop. ``deadline_s`` of each send in the port, to which media adds its upload;
    ``media_limit`` in bytes.

    Once it is ``closed`` (any thread) nothing more is given to a port: a successor may have read already what the
    ledger knows, and send it itself.
    """

    def __init__(self, context: Context, outcomes: Outcomes, *, deadline_s: float, media_limit: int) -> None:
        self._context = context
        self._outcomes = outcomes
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: dict[str, tuple[Accepted, datetime]] = {}
        self._in_line = 0
        self._moved = 0.0
        self.deadline_s = deadline_s
        self.media_limit = media_limit
        self.closed = False
        self.typing: Callable[[str | None], float] = lambda _text: 0.0
        """For how many seconds we are shown typing before a text."""

    def launch(self, port: Port, parcels: Sequence[Parcel]) -> None:
        """Send these through ``port``; what comes of each comes through the outcomes."""
        requests: list[SendRequest] = []
        self._context.flights.began(parcel.key for parcel in parcels)
        if self._context.telemetry is not None:
            now = self._context.now().wall
            self._told |= {parcel.key: (parcel.accepted, now) for parcel in parcels}
        for parcel in parcels:
            command, key, secret = parcel.command, parcel.key, parcel.secret
            assert secret is not None
            if command.expires_at is not None and command.expired(self._context.now().wall):
                answer = Failed(code=ErrorCode.EXPIRED.value, message=ErrorCode.EXPIRED.meaning)
                self._put([SendOutcome(key=key, answer=answer)])
            elif command.type == "text" and not self.typing(command.text):
                requests.append(_text(command, key, secret, parcel.chat))
            else:
                self._follow(port, command, key, secret, parcel.chat)
        self._give(port, requests, self.deadline_s)

    def _give(self, port: Port, requests: Sequence[SendRequest], deadline: float) -> None:
        if not requests:
            return
        if self.closed:
            answer = Failed(code=ErrorCode.NOT_CONNECTED.value, message="the channel is ending")
            self._put([SendOutcome(key=request.key, answer=answer, cut=True) for request in requests])
        else:
            if not self._in_line:
                self._moved = monotonic()
            self._in_line += len(requests)
            port.send(requests, self._answered, deadline=deadline)

    def _answered(self, outcomes: Sequence[SendOutcome]) -> None:
        """A port sends one after the other: what is answered together has shared the time since the last answers."""
        now = monotonic()
        share_s = (now - self._moved) / len(outcomes)
        self._moved = now
        self._in_line -= len(outcomes)
        for outcome in outcomes:
            if not outcome.cut:
                self._context.count.times.send.took(share_s)
        self._put(outcomes)

    def _put(self, outcomes: Sequence[SendOutcome]) -> None:
        """What came of these, in whosever stead."""
        if self._told:
            for outcome in outcomes:
                told = self._told.pop(outcome.key, None)
                if told is not None:
                    way.answered(self._context, *told, outcome)
        self._outcomes.put(outcomes)

    def _follow(self, port: Port, command: SendCommand, key: str, secret: bytes, to: str) -> None:
        task = asyncio.get_running_loop().create_task(self._prepare(port, command, key, secret, to))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _prepare(self, port: Port, command: SendCommand, key: str, secret: bytes, to: str) -> None:
        try:
            if seconds := self.typing(command.text):
                await self._type(port, to, seconds)
            async with asyncio.timeout(MEDIA_TIMEOUT_S):
                request = await self._request(command, key, secret, to)
        except NotSendableError as refused:
            answer = refused.answer
        except StoreUnavailableError as error:
            answer = Failed(code=ErrorCode.STORE_FAILED.value, message=str(error))
        except (UnavailableError, TimeoutError) as error:
            answer = Failed(code=ErrorCode.MEDIA_UNAVAILABLE.value, message=str(error) or "media: no answer in time")
        except Exception as error:  # whatever it was, the command must not wait for ever
            self._context.log.exception("request not made", type=command.type)
            answer = Failed(code=ErrorCode.UNSUPPORTED.value, message=f"not sent: {type(error).__name__}; see the log")
        else:
            upload = UPLOAD_LIMIT_S if isinstance(request, SendMedia) else 0.0
            self._give(port, [request], self.deadline_s + upload)
            return
        self._put([SendOutcome(key=key, answer=answer)])

    async def _type(self, port: Port, chat: str, seconds: float) -> None:
        """Be shown typing, as far as that can be done."""
        with suppress(PortError):
            await port.call(ShowPresence(presence="typing", chat=chat), deadline=PRESENCE_DEADLINE_S)
        await asyncio.sleep(seconds)

    async def _request(self, command: SendCommand, key: str, secret: bytes, to: str) -> SendRequest:
        kind = command.type
        match kind:
            case "image" | "audio" | "video" | "document":
                media = command.media
                assert media is not None
                data, found = await self._media(kind, media)
                return SendMedia(
                    key=key,
                    secret=secret,
                    to=to,
                    kind=kind,
                    data=data,
                    mime=media.mime or found or _MIME[kind],
                    caption=media.caption,
                    filename=media.filename,
                    voice=media.voice,
                    quote=_quote(command),
                )
            case "text":
                return _text(command, key, secret, to)
            case "reaction":
                target = command.target
                assert target is not None
                ours = target in await self._context.ledger.ours(self._context.channel, [target])
                emoji = command.text or ""
                return SendReaction(key=key, secret=secret, to=to, target=target, from_me=ours, emoji=emoji)
            case _:
                raise NotSendableError(ErrorCode.UNSUPPORTED, f"not supported: type {command.type}")

    async def _media(self, kind: MediaKind, media: Media) -> tuple[bytes, str | None]:
        """What it is, and its type if whoever has it says so."""
        if media.data is not None:
            return media.data, None
        if media.url is not None:
            return await self._from_web(kind, media, media.url)
        assert media.object is not None
        try:
            return await self._context.bus.get_media(media.object, limit=self.media_limit), None
        except (NotFoundError, InvalidInputError) as error:
            raise NotSendableError(ErrorCode.MEDIA_INVALID, f"media.object: {error}") from error

    async def _from_web(self, kind: MediaKind, media: Media, url: str) -> tuple[bytes, str]:
        web, clinic = self._context.web, self._context.clinic
        try:
            found = await web.fetch(clinic, url, kind=kind, mime=media.mime, limit=self.media_limit)
        except InvalidInputError as error:
            raise NotSendableError(ErrorCode.MEDIA_INVALID, str(error)) from error
        return found.data, found.mime


def _text(command: SendCommand, key: str, secret: bytes, to: str) -> SendText:
    return SendText(key=key, secret=secret, to=to, text=command.text or "", quote=_quote(command))


def _quote(command: SendCommand) -> Quote | None:
    if command.reply_to is None:
        return None
    author = Address.parse(command.reply_to.from_) if command.reply_to.from_ else command.address
    return Quote(wa_id=command.reply_to.id, author=str(author))
