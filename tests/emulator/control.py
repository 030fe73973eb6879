"""The control API: HTTP and JSON, for tests, the demo and curious people.  The README lists it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from tests.emulator import api
from tests.emulator.content import Written, write_edit, write_file, write_reaction, write_revocation, write_text
from tests.emulator.faults import AnyFault, Fault
from tests.emulator.feed import matches
from tests.emulator.handlers.login import strike_online
from tests.emulator.handlers.outgoing import confirm, send
from tests.emulator.handlers.pairing import scan, type_code
from tests.emulator.world import RequestError, World

_LONGEST_WAIT = 600.0
_LARGEST_REQUEST = 1 << 26
_AT_ONCE = 50
"""Messages of a burst that are written in one turn of the loop: about 20 ms."""

Body = TypeVar("Body", bound=api.Request)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The API of one world; ``follow_faults`` is awaited after every change of its faults."""

    def __init__(self, world: World, follow_faults: Callable[[], Awaitable[None]]) -> None:
        self._world, self._follow_faults = world, follow_faults

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_explain], client_max_size=_LARGEST_REQUEST)
        app.add_routes(
            [
                web.post("/scan", self._scan),
                web.post("/pair-code", self._pair_code),
                web.post("/contacts/{phone}", self._contact),
                web.post("/contacts/{phone}/send", self._send),
                web.get("/contacts/{phone}/inbox", self._inbox),
                web.post("/burst", self._burst),
                web.get("/inboxes", self._inboxes),
                web.get("/letters", self._letters),
                web.get("/unreadable", self._unreadable),
                web.post("/contacts/{phone}/auto", self._auto),
                web.post("/contacts/{phone}/receive", self._receive),
                web.post("/contacts/{phone}/read", self._read),
                web.post("/contacts/{phone}/reinstall", self._reinstall),
                web.get("/sessions", self._sessions),
                web.post("/faults", self._arm),
                web.get("/faults", self._faults),
                web.delete("/faults", self._disarm),
                web.delete("/faults/{id}", self._disarm),
                web.get("/stats", self._stats),
                web.get("/events", self._events),
            ]
        )
        return app

    async def _scan(self, request: web.Request) -> web.Response:
        body = await _body(request, api.Scan)
        scan(self._world, body.qr, body.phone)
        return _json({})

    async def _pair_code(self, request: web.Request) -> web.Response:
        body = await _body(request, api.PairCode)
        type_code(self._world, body.code, body.phone)
        return _json({})

    async def _contact(self, request: web.Request) -> web.Response:
        body = await _body(request, api.ContactSettings)
        self._world.contact(_phone(request)).exists = body.exists
        return _json({})

    async def _send(self, request: web.Request) -> web.Response:
        body = await _body(request, api.Send)
        contact = self._world.contact(_phone(request))
        written = _write(self._world, body)
        message_id = send(self._world, contact, body.to, written, by_lid=body.addressing == "lid")
        return _json({"id": message_id})

    async def _inbox(self, request: web.Request) -> web.Response:
        contact = self._world.contacts.get(_phone(request))
        return _json(api.Inbox(contact.inbox if contact else []))

    async def _burst(self, request: web.Request) -> web.Response:
        """In turns, so that clients are served meanwhile."""
        body = await _body(request, api.Burst)
        if not body.contacts:
            raise RequestError("from: expected at least one contact")
        contacts = [self._world.contact(phone) for phone in body.contacts]
        ids = []
        for number in range(body.count):
            written = write_text(body.text.replace("{n}", str(body.first + number)), "", body.to)
            contact = contacts[number % len(contacts)]
            ids.append(send(self._world, contact, body.to, written, by_lid=body.addressing == "lid"))
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        return _json({"ids": ids})

    async def _inboxes(self, request: web.Request) -> web.Response:
        """?since=N: all that arrived after the first N, at anybody's."""
        arrivals = self._world.archive.arrivals
        since = int(_number(request, "since", len(arrivals)))
        return _json(api.Arrivals(arrivals[since:], len(arrivals)))

    async def _letters(self, _request: web.Request) -> web.Response:
        return _json(api.Letters(list(self._world.archive.letters.values())))

    async def _unreadable(self, _request: web.Request) -> web.Response:
        return _json(api.UnreadableList(self._world.archive.unreadable))

    async def _auto(self, request: web.Request) -> web.Response:
        self._world.contact(_phone(request)).auto = await _body(request, api.Auto)
        return _json({})

    async def _receive(self, request: web.Request) -> web.Response:
        return await self._confirm(request, "")

    async def _read(self, request: web.Request) -> web.Response:
        return await self._confirm(request, "read")

    async def _confirm(self, request: web.Request, kind: str) -> web.Response:
        body = await _body(request, api.Read)
        contact = self._world.contact(_phone(request))
        if all(item.id != body.id or item.sender != body.to for item in contact.inbox):
            raise RequestError("id: no such message from this account in the contact's inbox")
        for device in self._world.devices(body.to):
            confirm(self._world, contact, device, body.id, kind)
        return _json({})

    async def _reinstall(self, request: web.Request) -> web.Response:
        self._world.contact(_phone(request)).reinstall()
        return _json({})

    async def _sessions(self, _request: web.Request) -> web.Response:
        return _json(api.SessionList(self._world.sessions()))

    async def _arm(self, request: web.Request) -> web.Response:
        fault: Fault = msgspec.json.decode(await request.read(), type=AnyFault)
        armed = self._world.faults.arm(fault)
        await self._follow_faults()
        for device in self._world.devices():
            if device.client is not None:
                strike_online(device.client)
        return _json({"id": armed.id})

    async def _faults(self, _request: web.Request) -> web.Response:
        faults = [
            api.FaultInfo(armed.id, armed.kind, armed.fault.phone or "", armed.strikes.total())
            for armed in self._world.faults.armed()
        ]
        return _json(api.FaultList(faults))

    async def _disarm(self, request: web.Request) -> web.Response:
        fault_id = request.match_info.get("id")
        gone = self._world.faults.disarm(fault_id)
        await self._follow_faults()
        if fault_id is not None and not gone:
            raise RequestError(f"no fault has the id {fault_id}")
        return _json({"deleted": gone})

    async def _stats(self, _request: web.Request) -> web.Response:
        return _json(self._world.stats())

    async def _events(self, request: web.Request) -> web.Response:
        """?after=N&timeout=S&kind=a,b&phone=P: the matching events after N, as soon as there is one."""
        after = int(_number(request, "after", float(1 << 53)))
        timeout = _number(request, "timeout", _LONGEST_WAIT)
        kinds = frozenset(filter(None, request.query.get("kind", "").split(",")))
        phone = request.query.get("phone", "")
        feed = self._world.feed
        events = feed.after(after, kinds, phone)
        if not events and timeout > 0:
            arrived = asyncio.Event()
            forget = feed.listen(lambda event: arrived.set() if matches(event, kinds, phone) else None)
            try:
                async with asyncio.timeout(timeout):
                    await arrived.wait()
            except TimeoutError:
                pass
            finally:
                forget()
            events = feed.after(after, kinds, phone)
        return _json(api.Events(events, events[-1].seq if events else feed.last))


def _write(world: World, body: api.Send) -> Written:
    """The message a contact was told to write."""
    given = [
        name for name in ("text", "image", "file", "reaction", "edit", "revoke") if getattr(body, name) is not None
    ]
    if len(given) != 1:
        raise RequestError("expected exactly one of text, image, file, reaction, edit and revoke")
    if body.text is not None:
        return write_text(body.text, body.about, body.to)
    if body.image is not None:
        image = api.File(kind="image", data=body.image, mime=body.mime, caption=body.caption)
        return write_file(image, body.about, body.to, world.media)
    if body.file is not None:
        return write_file(body.file, body.about, body.to, world.media)
    if not body.about:
        raise RequestError("about: expected the id of the message that is reacted to, edited or revoked")
    if body.edit is not None:
        return write_edit(body.edit, body.about, body.to, world.clock())
    if body.revoke is not None:
        return write_revocation(body.about, body.to)
    return write_reaction(body.reaction or "", body.about, body.to, world.clock())


async def _body(request: web.Request, kind: type[Body]) -> Body:
    return msgspec.json.decode(await request.read(), type=kind)


def _phone(request: web.Request) -> str:
    return msgspec.convert(request.match_info["phone"], api.Digits)


def _number(request: web.Request, name: str, largest: float) -> float:
    try:
        return min(max(float(request.query.get(name, "0")), 0.0), largest)
    except ValueError as error:
        raise RequestError(f"{name}: expected a number") from error


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json", status=status)


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is JSON with an ``error`` that says what was expected."""
    try:
        return await handler(request)
    except (RequestError, msgspec.MsgspecError) as error:
        return _json({"error": str(error)}, 400)
    except web.HTTPException as error:
        return _json({"error": error.reason}, error.status)
