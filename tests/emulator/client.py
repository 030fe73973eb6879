"""The emulator from outside: starts the process and speaks its control API.  For tests, the demo and the bench."""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import aiohttp
import msgspec

from tests.emulator.api import (
    Arrivals,
    Event,
    Events,
    FaultInfo,
    FaultList,
    File,
    Inbox,
    InboxItem,
    Letter,
    Letters,
    Ready,
    SessionInfo,
    SessionList,
    Stats,
    Unreadable,
    UnreadableList,
)  # fmt: skip

_REPOSITORY = Path(__file__).resolve().parents[2]
_END_TIMEOUT = 10.0

Answer = TypeVar("Answer")


class EmulatorError(Exception):
    """The emulator refused a request, did not start, or found that the client had broken its encryption."""


class EventTimeoutError(EmulatorError):
    """What was waited for did not happen; the text tells what happened instead."""


class Identified(msgspec.Struct):
    id: str


class Ids(msgspec.Struct):
    ids: list[str]


class EmulatorProcess:
    """An emulator of its own.

    ``async with EmulatorProcess(directory) as emulator`` gives everything; :meth:`start` and :meth:`stop` alone do
    without an event loop.  Leaving the context raises EmulatorError if a client ever used a message key twice, unless
    ``tolerate_key_reuse``: whatsmeow does that when it decrypts a contact's message in the very moment in which it
    encrypts one for the same contact (its pull request 1168), and the contact cannot read the second of the two.
    """

    def __init__(self, directory: Path, control: str = "127.0.0.1:0", *, tolerate_key_reuse: bool = False) -> None:
        self._directory, self._control = directory, control
        self._tolerate_key_reuse = tolerate_key_reuse
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: Ready | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def ready(self) -> Ready:
        """What the emulator printed when it was ready; EmulatorError before that."""
        if self._ready is None:
            raise EmulatorError("the emulator is not running")
        return self._ready

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with what a client needs to find the emulator."""
        return os.environ | self.ready.env

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return (self._directory / "emulator.log").read_text()

    def start(self) -> Ready:
        """Start it and wait until it is ready; EmulatorError with its log if it is not."""
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.emulator", "--dir", str(self._directory), "--control", self._control]
        with (self._directory / "emulator.log").open("wb") as log:
            # Out of reach of a Ctrl-C that is meant for whoever started it, who will have questions to the end.
            self._process = subprocess.Popen(
                command, cwd=_REPOSITORY, stdout=subprocess.PIPE, stderr=log, process_group=0
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise EmulatorError(f"the emulator did not start:\n{self.log}")
        self._ready = msgspec.json.decode(line, type=Ready)
        return self._ready

    def stop(self) -> int | None:
        """End it (SIGTERM, then SIGKILL) and wait; its exit status, 0 if all is well, or None if it did not run."""
        process, self._process, self._ready = self._process, None, None
        if process is None:
            return None
        process.terminate()
        try:
            process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        self._http = aiohttp.ClientSession(base_url=self.ready.control)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            check = error is None and not self._tolerate_key_reuse
            reuse = (await self.stats()).key_reuse if check else []
        finally:
            if self._http is not None:
                await self._http.close()
            await asyncio.to_thread(self.stop)
        if reuse:
            raise EmulatorError("message keys were used twice: " + "; ".join(reuse))

    async def scan(self, qr: str, phone: str) -> None:
        """Scan the QR code with that phone."""
        await self._post("/scan", {"qr": qr, "phone": phone})

    async def pair_code(self, code: str, phone: str) -> None:
        """Type the pairing code on that phone."""
        await self._post("/pair-code", {"code": code, "phone": phone})

    async def send_text(
        self, contact: str, to: str, text: str, *, about: str = "", addressing: Literal["lid", "pn"] = "lid"
    ) -> str:
        """A contact writes to an account (a reply, if ``about`` names a message); the message's id."""
        body = {"to": to, "text": text, "about": about, "addressing": addressing}
        return await self._send(contact, body)

    async def send_image(
        self, contact: str, to: str, image: bytes, *, caption: str = "", mime: str = "image/png", about: str = ""
    ) -> str:
        content = {"image": base64.b64encode(image).decode(), "caption": caption, "mime": mime}
        return await self._send(contact, {"to": to, "about": about, **content})

    async def send_file(self, contact: str, to: str, file: File, *, about: str = "") -> str:
        return await self._send(contact, {"to": to, "about": about, "file": msgspec.to_builtins(file)})

    async def send_reaction(self, contact: str, to: str, emoji: str, about: str) -> str:
        return await self._send(contact, {"to": to, "reaction": emoji, "about": about})

    async def edit(self, contact: str, to: str, text: str, about: str) -> str:
        """A contact gives another text to a message that it sent; the id of the edit."""
        return await self._send(contact, {"to": to, "edit": text, "about": about})

    async def revoke(self, contact: str, to: str, about: str) -> str:
        """A contact takes back a message that it sent; the id of the revocation."""
        return await self._send(contact, {"to": to, "revoke": True, "about": about})

    async def burst(self, contacts: Sequence[str], to: str, count: int, text: str, *, first: int = 0) -> list[str]:
        """``contacts`` take turns in writing to an account; the ids. ``{n}`` in ``text`` is the number of each, from
        ``first`` on."""
        body = {"from": list(contacts), "to": to, "count": count, "text": text, "first": first}
        answer: Ids = msgspec.json.decode(await self._post("/burst", body), type=Ids)
        return answer.ids

    async def arrivals(self, since: int = 0) -> Arrivals:
        """What arrived in anybody's inbox after the first ``since``."""
        return await self._get(f"/inboxes?since={since}", Arrivals)

    async def letters(self) -> list[Letter]:
        """All that contacts ever wrote, and what of it a client has confirmed."""
        return (await self._get("/letters", Letters)).items

    async def unreadable(self) -> list[Unreadable]:
        """What contacts could not read."""
        return (await self._get("/unreadable", UnreadableList)).items

    async def cut(self, phone: str | None = None, how: Literal["fin", "rst"] = "rst") -> None:
        """End the connections of an account, or all that there are now."""
        await self.clear(await self.fault("drop", how=how, phone=phone, count=1))

    async def inbox(self, contact: str) -> list[InboxItem]:
        """What the contact got, in order of arrival."""
        return (await self._get(f"/contacts/{contact}/inbox", Inbox)).items

    async def auto(
        self,
        contact: str,
        *,
        reply: str | None = None,
        after: float = 0.0,
        delivered: bool = True,
        read: bool = False,
    ) -> None:
        """What the contact does by itself with each message.

        ``reply`` may contain ``{text}``; it is written ``after`` so many seconds.
        """
        body = {"reply": reply, "after": after, "delivered": delivered, "read": read}
        await self._post(f"/contacts/{contact}/auto", body)

    async def receive(self, contact: str, message_id: str, to: str) -> None:
        """The contact confirms to the account ``to`` that a message has arrived."""
        await self._post(f"/contacts/{contact}/receive", {"id": message_id, "to": to})

    async def read(self, contact: str, message_id: str, to: str) -> None:
        """The contact confirms to the account ``to`` that it read a message."""
        await self._post(f"/contacts/{contact}/read", {"id": message_id, "to": to})

    async def exists(self, contact: str, exists: bool) -> None:
        """Is this number on WhatsApp?"""
        await self._post(f"/contacts/{contact}", {"exists": exists})

    async def reinstall(self, contact: str) -> None:
        """The contact installs WhatsApp anew: its keys are others, and it cannot read what comes for the old."""
        await self._post(f"/contacts/{contact}/reinstall", {})

    async def fault(self, kind: str, **parameters: str | float | bool | None) -> str:
        """Set a fault (see ``faults.py`` for the kinds and their parameters); its id."""
        answer = await self._post("/faults", {"kind": kind, **parameters})
        return msgspec.json.decode(answer, type=Identified).id

    async def clear(self, fault_id: str | None = None) -> None:
        """Take one fault away, or all."""
        await self._request("DELETE", f"/faults/{fault_id}" if fault_id else "/faults")

    async def faults(self) -> list[FaultInfo]:
        """The faults that are set."""
        return (await self._get("/faults", FaultList)).faults

    async def sessions(self) -> list[SessionInfo]:
        return (await self._get("/sessions", SessionList)).sessions

    async def stats(self) -> Stats:
        return await self._get("/stats", Stats)

    async def last_event(self) -> int:
        """The number of the newest event: what happens from now on comes after it."""
        events = await self._get(f"/events?after={1 << 53}", Events)
        return events.next

    async def events(self, after: int = 0, *, kind: str = "", phone: str = "") -> list[Event]:
        """The events so far."""
        return (await self._get(f"/events?after={after}&kind={kind}&phone={phone}", Events)).events

    async def wait_for(
        self,
        kind: str,
        phone: str = "",
        *,
        after: int = 0,
        timeout: float = 10.0,
        where: Callable[[Event], bool] = lambda _event: True,
    ) -> Event:
        """The first event of a kind (several, with commas between), and phone if given, later than ``after``.

        EventTimeoutError, with the last events of any kind, if it does not come within ``timeout`` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline, seen = loop.time() + timeout, after
        while (left := deadline - loop.time()) > 0:
            query = f"/events?after={seen}&timeout={left:.3f}&kind={kind}&phone={phone}"
            page = await self._get(query, Events)
            for event in page.events:
                if where(event):
                    return event
            seen = max(seen, page.next)
        recent = (await self.events(after))[-20:]
        happened = "\n".join(f"  {e.seq} {e.kind} {e.phone} {e.data}" for e in recent)
        raise EventTimeoutError(f"no {kind} {phone} within {timeout} s; last events:\n{happened}\n{self.log}")

    async def wait_for_message(
        self, contact: str, *, text: str | None = None, after: int = 0, timeout: float = 10.0
    ) -> InboxItem:
        """The first message to arrive in the contact's inbox (with this text, if given)."""

        def fits(event: Event) -> bool:
            return event.data["to"] == contact and text in (None, event.data["text"])

        event = await self.wait_for("message", after=after, timeout=timeout, where=fits)
        return next(item for item in await self.inbox(contact) if item.id == event.data["id"])

    async def _send(self, contact: str, body: dict[str, Any]) -> str:
        answer = await self._post(f"/contacts/{contact}/send", body)
        return msgspec.json.decode(answer, type=Identified).id

    async def _get(self, path: str, kind: type[Answer]) -> Answer:
        return msgspec.json.decode(await self._request("GET", path), type=kind)

    async def _post(self, path: str, body: dict[str, Any]) -> bytes:
        return await self._request("POST", path, msgspec.json.encode(body))

    async def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        if self._http is None:
            raise EmulatorError("the emulator is not running")
        async with self._http.request(method, path, data=body) as response:
            content = await response.read()
            if response.status != 200:
                raise EmulatorError(f"{method} {path}: {response.status} {content.decode()}")
            return content
