"""Channels of a clinic: what they are, what can be done with them, their QR codes, and sending."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Annotated, Any

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Meta, Struct

from gateway.http.correlating import command_headers
from gateway.http.paging import PAGE, Page, page
from gateway.http.requests import answer, asked_clinic, channel_of, choice, clinic_of, read_as, read_body
from gateway.http.routes import API, CALLER, CHANNEL, CLINIC, OF_CLINIC, Query, Route
from protocol.access import Permission
from protocol.channel import ChannelSnapshot, ChannelState, DisplayName, PairingCode, QrCode
from protocol.commands import SendCommand
from protocol.errors import InvalidAddressError, InvalidBodyError, InvalidInputError
from protocol.ids import Address, DescribedAddress, DescribedName, check_name
from protocol.operations import MOST_PHONES, MOST_WA_IDS, Operations
from protocol.port import Presence
from protocol.subjects import Priority
from protocol.views import NumberChecks

Phone = Annotated[str, Meta(extra_json_schema={"pattern": r"^\+?[1-9][0-9]{6,14}$(?!\n)"})]


class NewChannel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that adds a channel."""

    id: DescribedName
    name: DisplayName | None = None


class PairRequest(Struct, frozen=True, kw_only=True):
    """The body that begins pairing; with ``phone`` (E.164 digits) by a code to type there, without by QR."""

    phone: Phone | None = None


class ChannelChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that changes a channel; ``config`` takes the place of its own settings as a whole."""

    config: dict[str, Any] | None = None
    name: DisplayName | None = None


class NumberCheckRequest(Struct, frozen=True, kw_only=True):
    """The body that asks which of these are on WhatsApp."""

    phones: Annotated[list[Phone], Meta(min_length=1, max_length=MOST_PHONES)]


class ReadMark(Struct, frozen=True, kw_only=True):
    """The body that marks messages as read: of ``sender``, or of the person that ``chat`` is with."""

    chat: DescribedAddress
    wa_ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_WA_IDS)]
    sender: DescribedAddress | None = None


class PresenceChange(Struct, frozen=True, kw_only=True):
    """The body that shows the account as available or not, or as typing (or no longer) in ``chat``."""

    presence: Presence
    chat: DescribedAddress | None = None


class Queued(Struct, frozen=True, kw_only=True):
    """The answer to a send command: it is on the queue, and its result will be an event."""

    id: str
    queued: bool = True


class ChannelList(Page, frozen=True, kw_only=True):
    """The answer to a look at many channels, by clinic and id."""

    items: list[ChannelSnapshot]


class ChannelRoutes:
    """Handlers; each raises what ``Operations`` raises. PNGs are drawn by ``executor``, off the loop."""

    def __init__(self, operations: Operations, executor: Executor) -> None:
        self._operations = operations
        self._executor = executor

    async def list(self, request: web.Request) -> web.Response:
        """A page of the channels of the clinic in the path, in all states or in `?state=`."""
        return _listed(request, await self._operations.channels(clinic_of(request)))

    async def search(self, request: web.Request) -> web.Response:
        """A page of the channels of all clinics that the caller may see, or of `?clinic=`, in all states or in
        `?state=`."""
        caller, found = request[CALLER], await self._operations.channels(asked_clinic(request))
        return _listed(request, [shot for shot in found if caller.sees(shot.clinic)])

    async def get(self, request: web.Request) -> web.Response:
        """One channel."""
        return answer(await self._operations.channel(*channel_of(request)))

    async def add(self, request: web.Request) -> web.Response:
        """Register a channel: 201 and where it is."""
        clinic = clinic_of(request)
        new = await read_as(request, NewChannel)
        check_name("id", new.id)
        snapshot = await self._operations.add_channel(clinic, new.id, new.name)
        return answer(snapshot, status=201, location=f"/api/v1/clinics/{clinic}/channels/{new.id}")

    async def change(self, request: web.Request) -> web.Response:
        """Give a channel other settings or another name, which hold at once."""
        asked = await read_as(request, ChannelChange)
        if asked.config is None and asked.name is None:
            raise InvalidBodyError("body", "config, name or both")
        return answer(await self._operations.configure(*channel_of(request), asked.config, asked.name))

    async def remove(self, request: web.Request) -> web.Response:
        """Stop a channel for good and delete its session."""
        await self._operations.remove_channel(*channel_of(request))
        return web.Response(status=204)

    async def connect(self, request: web.Request) -> web.Response:
        """Open a port now, or replace the live one."""
        return await self._act(self._operations.connect, request)

    async def disconnect(self, request: web.Request) -> web.Response:
        """Close the port until ``connect``."""
        return await self._act(self._operations.disconnect, request)

    async def suspend(self, request: web.Request) -> web.Response:
        """Close the port until ``resume`` or ``connect``; commands wait."""
        return await self._act(self._operations.suspend, request)

    async def resume(self, request: web.Request) -> web.Response:
        """Open a port if it is suspended."""
        return await self._act(self._operations.resume, request)

    async def logout(self, request: web.Request) -> web.Response:
        """Unlink the device, or forget the session of a channel that is suspended or in error."""
        return await self._act(self._operations.logout, request)

    async def pair(self, request: web.Request) -> web.Response:
        """Begin pairing; answers with the code to scan or to type."""
        clinic, channel = channel_of(request)
        asked = await read_as(request, PairRequest) if request.can_read_body else PairRequest()
        phone = None if asked.phone is None else _digits(asked.phone)
        return answer(await self._operations.pair(clinic, channel, phone))

    async def qr(self, request: web.Request) -> web.Response:
        """The QR code to show now."""
        return answer(await self._operations.qr(*channel_of(request)))

    async def qr_png(self, request: web.Request) -> web.Response:
        """The QR code to show now, as a picture."""
        found = await self._operations.qr(*channel_of(request))
        picture = await asyncio.get_running_loop().run_in_executor(self._executor, draw, found.code)
        return web.Response(body=picture, content_type="image/png")

    async def send(self, request: web.Request) -> web.Response:
        """Put a send command on the queue of ``?priority=``: 202."""
        clinic, channel = channel_of(request)
        priority = choice(request, "priority", Priority) or Priority.NORMAL
        body = await read_body(request)
        if not body:
            raise InvalidBodyError("body", "a send command, got nothing")
        queued = await self._operations.send(clinic, channel, priority, body, command_headers(request))
        return answer(Queued(id=queued), status=202)

    async def check(self, request: web.Request) -> web.Response:
        """Ask WhatsApp which numbers it knows."""
        asked = await read_as(request, NumberCheckRequest)
        return answer(await self._operations.check(*channel_of(request), asked.phones))

    async def mark_read(self, request: web.Request) -> web.Response:
        """Mark messages as read: 204."""
        asked = await read_as(request, ReadMark)
        await self._operations.mark_read(*channel_of(request), asked.chat, asked.wa_ids, asked.sender)
        return web.Response(status=204)

    async def presence(self, request: web.Request) -> web.Response:
        """Show the account as available or not, or as typing: 204."""
        asked = await read_as(request, PresenceChange)
        await self._operations.presence(*channel_of(request), asked.presence, asked.chat)
        return web.Response(status=204)

    async def _act(
        self, action: Callable[[str, str], Awaitable[ChannelSnapshot]], request: web.Request
    ) -> web.Response:
        return answer(await action(*channel_of(request)))


def _listed(request: web.Request, found: Sequence[ChannelSnapshot]) -> web.Response:
    state = choice(request, "state", ChannelState)
    asked = [shot for shot in found if state in (None, shot.state)]
    return page(request, asked, lambda channel: (channel.clinic, channel.channel))


def draw(code: str) -> bytes:
    """``code`` as a QR picture (PNG), black on white with the quiet zone that readers need."""
    # Imported when first needed: Pillow costs 10 MB, and most nodes never draw.
    import qrcode

    picture = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_L, box_size=8, border=4)
    picture.add_data(code)
    out = io.BytesIO()
    picture.make_image().save(out, format="PNG")
    return out.getvalue()


def _digits(phone: str) -> str:
    refusal = InvalidInputError("phone", "E.164 digits (7 to 15), such as 5511912345678")
    try:
        address = Address.parse(phone)
    except InvalidAddressError as error:
        raise refusal from error
    if address.server != "s.whatsapp.net":
        raise refusal
    return address.user


def of_channels(channels: ChannelRoutes, pair_s: float) -> Sequence[Route]:
    """Their routes. ``pair_s``: how long pairing may take."""
    many, one, view, admin = f"{CLINIC}/channels", CHANNEL, Permission.VIEW, Permission.ADMINISTER
    state = Query(name="state", kind=ChannelState, what="only channels in this state")
    return (
        Route(
            method="GET",
            path=f"{API}/channels",
            handler=channels.search,
            permission=view,
            filtered=True,
            query=(OF_CLINIC, state, *PAGE),
            answer=ChannelList,
        ),
        Route(
            method="GET",
            path=many,
            handler=channels.list,
            permission=view,
            query=(state, *PAGE),
            answer=ChannelList,
        ),
        Route(
            method="POST",
            path=many,
            handler=channels.add,
            permission=admin,
            action="channel.add",
            body=NewChannel,
            answer=ChannelSnapshot,
            status=201,
        ),
        Route(method="GET", path=one, handler=channels.get, permission=view, answer=ChannelSnapshot),
        Route(
            method="PATCH",
            path=one,
            handler=channels.change,
            permission=admin,
            action="channel.change",
            body=ChannelChange,
            answer=ChannelSnapshot,
        ),
        Route(
            method="DELETE", path=one, handler=channels.remove, permission=admin, action="channel.remove", status=204
        ),
        *_of_verbs(channels, pair_s),
    )


def _of_verbs(channels: ChannelRoutes, pair_s: float) -> Sequence[Route]:
    act = Permission.OPERATE
    codes = (QrCode, PairingCode)
    priority = Query(name="priority", kind=Priority, what="of the queue; normal if not given")

    def verb(name: str, handler: Handler, **more: Any) -> Route:
        return Route(
            method="POST", path=f"{CHANNEL}/{name}", handler=handler, permission=act, action=f"channel.{name}", **more
        )

    return (
        verb("connect", channels.connect, answer=ChannelSnapshot),
        verb("disconnect", channels.disconnect, answer=ChannelSnapshot),
        verb("suspend", channels.suspend, answer=ChannelSnapshot),
        verb("resume", channels.resume, answer=ChannelSnapshot),
        verb("logout", channels.logout, answer=ChannelSnapshot),
        verb("pair", channels.pair, body=PairRequest | None, answer=codes, patience_s=pair_s),
        verb("send", channels.send, body=SendCommand, answer=Queued, status=202, query=(priority,)),
        verb("check", channels.check, body=NumberCheckRequest, answer=NumberChecks),
        verb("mark_read", channels.mark_read, body=ReadMark, status=204),
        verb("presence", channels.presence, body=PresenceChange, status=204),
        Route(method="GET", path=f"{CHANNEL}/qr", handler=channels.qr, permission=act, answer=QrCode),
        Route(
            method="GET",
            path=f"{CHANNEL}/qr.png",
            handler=channels.qr_png,
            permission=act,
            answer=bytes,
            content="image/png",
        ),
    )
