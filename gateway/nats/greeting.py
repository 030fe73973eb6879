"""What a NATS server says of itself to whoever connects, before any login."""

import asyncio
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from protocol.errors import BusUnavailableError

_MAX_LINE: Final = 64 * 1024
_PORT: Final = 4222
_INFO: Final = b"INFO "


class Greeting(Struct, frozen=True, kw_only=True):
    """``version`` such as ``2.15.1``; ``jetstream``: whether it is switched on."""

    version: str
    jetstream: bool = False


async def greeting(url: str, *, timeout: float) -> Greeting:
    """What the server at ``url`` (``nats`` or ``tls``) says within ``timeout`` seconds.

    Raises:
        BusUnavailableError: nobody answers, or no NATS server.
    """
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORT, limit=_MAX_LINE)
            try:
                line = await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError as error:
        raise BusUnavailableError(f"{url} does not answer within {timeout:g} s") from error
    except (OSError, ValueError) as error:
        raise BusUnavailableError(f"nobody answers at {url}: {error}") from error
    try:
        if line.startswith(_INFO):
            return msgspec.json.decode(line[len(_INFO) :], type=Greeting)
    except msgspec.DecodeError:
        pass
    raise BusUnavailableError(f"what answers at {url} is no NATS server")
