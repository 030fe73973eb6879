"""What a clinic's account holds, handed over: one message at a time, whatever there is."""

import base64
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from nats.js.api import RawStreamMsg

from gateway.nats import scanning
from gateway.nats.bus import NatsBus
from gateway.nats.link import Connection
from gateway.nats.people import concerns, read
from gateway.nats.streams import MEDIA_STREAM
from protocol import subjects
from protocol.exporting import StoredObject, Told
from protocol.ids import check_name

_UNKNOWN: str = "application/octet-stream"
_MIME: Final = 255
"""Characters of a media type."""


@dataclass(frozen=True, slots=True)
class NatsAccounts:
    """Implements ``protocol.exporting.Accounts``."""

    bus: NatsBus

    @asynccontextmanager
    async def reading(self, clinic: str) -> AsyncIterator["NatsAccountReader"]:
        """See ``Accounts``. Raises InvalidIdError too."""
        check_name("clinic", clinic)
        async with self.bus.account(clinic) as connection:
            yield NatsAccountReader(connection, clinic)


@dataclass(frozen=True, slots=True)
class NatsAccountReader:
    """Implements ``protocol.exporting.AccountReader``."""

    connection: Connection
    clinic: str

    async def told(self, stream: str, jids: frozenset[str] | None) -> AsyncIterator[Told]:
        """See ``AccountReader``."""
        async for message in scanning.scan(self.connection, stream, f"clinic.{self.clinic}.>"):
            body = read(message)
            if jids is None or concerns(message, body, jids):
                yield Told(subject=message.subject or "", body=body)

    async def objects(self, names: Collection[str] | None) -> AsyncIterator[StoredObject]:
        """See ``AccountReader``."""
        root = f"$O.{subjects.MEDIA_BUCKET}.M"
        wanted = [f"{root}.>"] if names is None else [f"{root}.{_encoded(name)}" for name in sorted(names)]
        for subject in wanted:
            async for message in scanning.scan(self.connection, MEDIA_STREAM, subject):
                found = _object_of(message)
                if found is not None:
                    yield found

    async def content(self, found: StoredObject) -> AsyncIterator[bytes]:
        """See ``AccountReader``."""
        subject = f"$O.{subjects.MEDIA_BUCKET}.C.{found.nuid}"
        async for chunk in scanning.scan(self.connection, MEDIA_STREAM, subject):
            yield chunk.data or b""


def _encoded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _object_of(message: RawStreamMsg) -> StoredObject | None:
    """None for one that was deleted, a link, or what cannot be read."""
    try:
        info = json.loads(message.data or b"")
        name, nuid = str(info["name"]), str(info["nuid"])
        linked = (info.get("options") or {}).get("link") is not None
        if info.get("deleted") or linked or not nuid.isalnum():
            return None
        # Whoever may store media may say anything here, and a list of all is held in memory.
        mimes = (info.get("headers") or {}).get(subjects.HEADER_CONTENT_TYPE) or [_UNKNOWN]
        return StoredObject(name=name, mime=str(mimes[0])[:_MIME], size=int(info.get("size") or 0), nuid=nuid)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
