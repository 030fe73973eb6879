"""What there is of a clinic, or of one person in it, put together in a file that people can open. On the loop's thread.

A ZIP of JSON Lines and a folder of media. No name in it is anybody's choice: files are numbered, and what a sender
called them stands in ``media.jsonl``. One record, message or piece of media is held at a time.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.custody import readme
from actors.switchboard import Switchboard
from protocol import subjects
from protocol.access import Caller
from protocol.codec import decode_raw
from protocol.errors import InvalidBodyError
from protocol.exporting import AccountReader, Accounts, Archive, Contacts, Exports
from protocol.jobs import JobKind, Jobs, JobView, Progress
from protocol.ledger import Store
from protocol.people import FormsOf, objects_of, parse_person, with_variants
from protocol.records import CommandRecord, Consent, InboundRecord, NumberRecord, PersonRecord, Record

BATCH: Final = 64 << 10
"""Bytes that are written at once."""
PART: Final = 1 << 30
"""Bytes of one file; what is more goes into another."""
LISTED: Final = 1 << 20
"""Bytes of one list of media: that of all could be more than should be held at a time."""
_FILES: Final[dict[type, str]] = {
    NumberRecord: "numbers",
    CommandRecord: "commands",
    InboundRecord: "inbound",
    PersonRecord: "people",
    Consent: "consents",
}
_STREAMS: Final = {
    subjects.STREAM_EVENTS: "events",
    subjects.STREAM_DEAD: "dead_letters",
    subjects.STREAM_SEND: "queued",
}
_ENDINGS: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "application/pdf": "pdf",
    "text/plain": "txt",
}
"""By which people's systems know how to open it; all else is ``bin``."""


class Exporting:
    """Makes them, as jobs. ``new``: what seals one."""

    def __init__(
        self,
        switchboard: Switchboard,
        jobs: Jobs,
        store: Store,
        accounts: Accounts,
        contacts: Contacts,
        forms_of: FormsOf,
        new: Callable[[], Exports],
    ) -> None:
        self._switchboard = switchboard
        self._jobs = jobs
        self._store = store
        self._accounts = accounts
        self._contacts = contacts
        self._forms_of = forms_of
        self._new = new

    async def export(self, clinic: str, contact: str | None, *, by: Caller) -> JobView:
        """See ``protocol.custody``. Raises InvalidInputError too: ``contact`` is no person's number or JID."""
        given = None if contact is None else parse_person(contact)
        self._switchboard.clinic(clinic)
        exports = self._new()
        work = partial(self._work, clinic, given, exports)
        return await self._jobs.start(JobKind.EXPORT, clinic, work, by=by, reading=exports.reading)

    async def _work(
        self, clinic: str, given: frozenset[str] | None, exports: Exports, progress: Progress, file: Path
    ) -> Mapping[str, int | str]:
        jids = None if given is None else with_variants(await self._forms_of(clinic, given))
        ledger = self._store.clinic(clinic)
        async with exports.writing(file) as archive, self._accounts.reading(clinic) as account:
            lines = Lines(archive, progress)
            await archive.begin("README.txt", packed=True)
            await archive.write(readme.TEXT.encode())
            async for record in ledger.export(jids):
                await lines.add(_FILES[type(record)], record_line(record))
            for contact in await self._contacts.contacts(clinic, jids):
                await lines.add("contacts", contact)
            media: set[str] | None = None if jids is None else set()
            for stream, name in _STREAMS.items():
                async for told in account.told(stream, jids):
                    if media is not None:
                        media.update(objects_of(told.body))
                    await lines.add(name, {"subject": told.subject, "body": told.body})
            await lines.end()
            count = await _media(archive, account, media, progress)
        return {**lines.counts, "media": count}


class Lines:
    """JSON, a line each, into one file after another."""

    def __init__(self, archive: Archive, progress: Progress) -> None:
        self._archive = archive
        self._progress = progress
        self._name: str | None = None
        self._waiting = bytearray()
        self._size = 0
        self.counts: dict[str, int | str] = {}

    async def add(self, name: str, value: Any) -> None:
        """A line of the file ``name``; those of one file come together."""
        if name != self._name:
            await self._begin(name, f"{name}.jsonl")
        elif self._size > PART:
            await self._begin(name, f"{name}-from-{int(self.counts[name]):010d}.jsonl")
        self._waiting += _line(value)
        count = self.counts[name] = int(self.counts.get(name, 0)) + 1
        if len(self._waiting) >= BATCH:
            await self.end()
            self._progress(name, count)

    async def end(self) -> None:
        """Write what waits."""
        if self._waiting:
            await self._archive.write(bytes(self._waiting))
            self._size += len(self._waiting)
            self._waiting.clear()

    async def _begin(self, name: str, file: str) -> None:
        await self.end()
        await self._archive.begin(file, packed=True)
        self._name, self._size = name, 0
        self._progress(name)


async def _media(archive: Archive, account: AccountReader, names: set[str] | None, progress: Progress) -> int:
    """Each into a file of its own, and a list of them whenever it has ``LISTED`` bytes; how many."""
    count, before, listed = 0, 0, bytearray()
    async for found in account.objects(names):
        count += 1
        file = f"media/{count:06d}.{ending(found.mime)}"
        await archive.begin(file, packed=False, large=found.size > PART)
        size = 0
        async for piece in account.content(found):
            await archive.write(piece)
            size += len(piece)
        listed += _line({"file": file, "object": found.name, "mime": found.mime, "size": size})
        progress("media", count)
        if len(listed) >= LISTED:
            await _list(archive, listed, before)
            before = count
    if listed:
        await _list(archive, listed, before)
    return count


async def _list(archive: Archive, listed: bytearray, before: int) -> None:
    """The list of media that follow the first ``before``; ``listed`` is empty then."""
    await archive.begin("media.jsonl" if before == 0 else f"media-from-{before:010d}.jsonl", packed=True)
    await archive.write(bytes(listed))
    listed.clear()


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def ending(mime: str) -> str:
    """What a file's name ends with."""
    return _ENDINGS.get(mime.partition(";")[0].strip().lower(), "bin")


def record_line(record: Record) -> dict[str, Any]:
    """A record of the database as people read it: the command as it was received, if it can be read."""
    line: dict[str, Any] = msgspec.to_builtins(record)
    if isinstance(record, CommandRecord) and record.body is not None:
        with suppress(InvalidBodyError):
            line["body"] = decode_raw(record.body)
    return line
