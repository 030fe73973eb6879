"""Asks a server whether a login works, or whether it answers at all, in the fewest words of the NATS protocol."""

import asyncio
import json
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from gateway.nats.link import Login

_INBOX: Final = "_INBOX.probe"
_MAX_LINE: Final = 64 * 1024
_PING: Final = b"PING\r\n"
_FULL: Final = b"maximum account active connections"
_JETSTREAM: Final = f"SUB {_INBOX} 1\r\nPUB $JS.API.INFO {_INBOX} 0\r\n\r\n".encode()


async def usable(login: Login, *, timeout: float) -> bool:
    """True if ``login`` is accepted and JetStream answers in its account; False if not, or not within ``timeout``
    seconds."""
    try:
        return bool(await _ask(login, timeout))
    except (OSError, TimeoutError, ValueError):
        return False


async def accepted(login: Login, *, timeout: float) -> bool:
    """True if the server knows ``login``, whether or not its account has room for one more connection; False if not, or
    not within ``timeout`` seconds. Who holds all connections of a clinic must not look like a server that is behind."""
    try:
        return bool(await _ask(login, timeout, _PING))
    except (OSError, TimeoutError, ValueError):
        return False


async def alive(login: Login, *, timeout: float) -> bool:
    """False if the server does not answer within ``timeout`` seconds. Whatever it says will do: it may be reloading, or
    have no room. True too if it is we who cannot ask, for want of a descriptor or a local port."""
    try:
        return await _ask(login, timeout) is not None
    except (ConnectionError, TimeoutError):
        return False
    except (OSError, ValueError):
        return True


async def _ask(login: Login, timeout: float, question: bytes = _JETSTREAM) -> bool | None:
    """Whether ``login`` was served; None if the server hung up without an answer."""
    address = urlsplit(login.server)
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=_MAX_LINE)
        try:
            return await _answer(login, question, reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _answer(
    login: Login, question: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool | None:
    await reader.readline()
    if login.tls is not None:
        await writer.start_tls(login.tls, server_hostname=urlsplit(login.server).hostname)
    hello = {
        "verbose": False,
        "pedantic": False,
        "headers": True,
        # In the middle of a reload a user may be known before JetStream serves the account: then be told, don't wait.
        "no_responders": True,
        "user": login.user,
        "pass": login.password,
        "name": "plantao probe",
    }
    writer.write(f"CONNECT {json.dumps(hello)}\r\n".encode() + question)
    while line := await reader.readline():
        if line.startswith((b"-ERR", b"HMSG")):
            return question == _PING and _FULL in line.lower()
        if line.startswith(b"PING"):
            writer.write(b"PONG\r\n")
        if line.startswith(b"PONG"):
            return True
        if line.startswith(b"MSG"):
            answer = json.loads(await reader.readline())
            return "error" not in answer
    return None
