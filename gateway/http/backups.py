"""``/api/v1/backup`` and ``/api/v1/restore``: archives made, and taken in piece by piece."""

import asyncio
import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from gateway import disk
from gateway.http.problems import BODY_TIMEOUT, TOO_LARGE, UNSUPPORTED, Refused
from gateway.http.requests import answer, read_as
from gateway.http.routes import API, CALLER, Query, Route
from gateway.store.faults import fault_of
from protocol.access import Permission
from protocol.custody import Backups
from protocol.errors import ForbiddenError, InvalidInputError, NotFoundError, PlantaoError, StoreUnavailableError
from protocol.ids import ClinicId, check_name
from protocol.jobs import JobView

UPLOAD_S: Final = 6 * 3600.0
"""How long taking in an archive may take in all."""
STALLED_S: Final = 60.0
"""How long a client may send none of it."""
PHRASE_HEADER: Final = "Plantao-Passphrase"
"""The passphrase, in base64 of its UTF-8: a header holds ASCII, and a query stands in logs."""

_BLOCK: Final = 256 << 10
_ARCHIVE: Final = "application/octet-stream"
_YES_NO: Final = {"true": True, "false": False}


class NewBackup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``clinic`` null: the node with all clinics."""

    clinic: ClinicId | None = None
    passphrase: Annotated[str, Meta(max_length=1024)] | None = None


class BackupRoutes:
    """Handlers; each raises what ``Backups`` raises. ``most``: bytes of an archive."""

    def __init__(self, backups: Backups, most: int) -> None:
        self._backups = backups
        self._most = most

    async def backup(self, request: web.Request) -> web.Response:
        """Begin: 202 with the job, from which the archive is fetched."""
        wanted, caller = await read_as(request, NewBackup), request[CALLER]
        if not caller.sees(wanted.clinic):
            raise unseen(wanted.clinic)
        return begun(await self._backups.backup(wanted.clinic, by=caller, passphrase=wanted.passphrase))

    async def restore(self, request: web.Request) -> web.Response:
        """Take the archive in, then begin: 202 with the job."""
        clinic, caller = request.query.get("clinic"), request[CALLER]
        if clinic is not None:
            check_name("clinic", clinic)
        replace, resume, passphrase = _yes(request, "replace"), _yes(request, "resume"), _passphrase(request)
        self._check_head(request)
        archive = self._backups.incoming()
        try:
            await self._take_in(request, archive)
            view = await self._backups.restore(
                archive, clinic, replace=replace, by=caller, resume=resume, passphrase=passphrase
            )
        except BaseException:
            await asyncio.to_thread(archive.unlink, missing_ok=True)
            raise
        return begun(view)

    def _check_head(self, request: web.Request) -> None:
        """Refuse before the first byte what cannot be taken."""
        if request.content_type != _ARCHIVE:
            raise Refused(UNSUPPORTED, f"Content-Type must be {_ARCHIVE}", close=True)
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
            raise Refused(UNSUPPORTED, "Content-Encoding is not supported: send the archive as it is", close=True)
        if (request.content_length or 0) > self._most:
            raise self._too_large()

    async def _take_in(self, request: web.Request, archive: Path) -> None:
        """As fast as the disk takes it: what is not read, the client cannot send."""
        taken = 0
        try:
            descriptor = await asyncio.to_thread(_create, archive)
            try:
                while True:
                    async with asyncio.timeout(STALLED_S):
                        piece = await request.content.read(_BLOCK)
                    if not piece:
                        break
                    if (taken := taken + len(piece)) > self._most:
                        raise self._too_large()
                    await asyncio.to_thread(_write, descriptor, piece)
            finally:
                await asyncio.to_thread(os.close, descriptor)
        except TimeoutError as error:
            raise Refused(BODY_TIMEOUT, f"nothing came for {STALLED_S:g} seconds", close=True) from error
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            fault = fault_of(error)
            raise StoreUnavailableError(f"{archive} {fault.what}: {fault.mend}") from error

    def _too_large(self) -> Refused:
        return Refused(TOO_LARGE, f"an archive of at most {self._most} bytes (limits.archive_bytes)", close=True)


def _create(path: Path) -> int:
    disk.make_directory(path.parent)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def begun(view: JobView) -> web.Response:
    """202 with the job, and where to look after it."""
    return answer(view, status=202, location=f"/api/v1/jobs/{view.id}")


def unseen(clinic: str | None) -> PlantaoError:
    """For a caller whose key is not for it."""
    if clinic is None:
        return ForbiddenError("only a key for all clinics may do that: name a clinic")
    return NotFoundError(f"clinic {clinic}")


def _yes(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in _YES_NO:
        raise InvalidInputError(name, "true or false")
    return _YES_NO[text]


def _passphrase(request: web.Request) -> str | None:
    text = request.headers.get(PHRASE_HEADER)
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(PHRASE_HEADER, "a passphrase, as UTF-8 in base64") from error


def of_backups(backups: BackupRoutes) -> Sequence[Route]:
    """Their routes."""
    admin = Permission.ADMINISTER
    how = (
        Query(name="clinic", kind=str, what="only this clinic of those that the archive holds"),
        Query(name="replace", kind=bool, what="also what is there, which is lost"),
        Query(name="resume", kind=bool, what="send what waited when the archive was made, which else is held"),
    )
    return (
        Route(
            method="POST",
            path=f"{API}/backup",
            handler=backups.backup,
            permission=admin,
            filtered=True,
            action="backup.ask",
            body=NewBackup,
            answer=JobView,
            status=202,
        ),
        Route(
            method="POST",
            path=f"{API}/restore",
            handler=backups.restore,
            permission=admin,
            action="restore.ask",
            patience_s=UPLOAD_S,
            stream=True,
            query=how,
            answer=JobView,
            status=202,
        ),
    )
