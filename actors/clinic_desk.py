"""The part of the desk that is about clinics."""

from collections.abc import Sequence
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from actors.clinic_view import shown
from actors.places import CLINICS
from actors.switchboard import Switchboard
from protocol.bus import Registry
from protocol.channel import ClinicRecord, ClinicSnapshot, ClinicState
from protocol.commands import utc_now
from protocol.errors import AlreadyExistsError, ConflictError, InvalidInputError
from protocol.ids import check_name

MOST_NAME: Final = 120


class ClinicDesk:
    """See ``protocol.operations.Operations``."""

    def __init__(self, switchboard: Switchboard, registry: Registry) -> None:
        self._switchboard = switchboard
        self._registry = registry

    async def clinics(self) -> Sequence[ClinicSnapshot]:
        """All, by id. Raises UnavailableError: it is not known yet which there are."""
        self._switchboard.wanted()
        return [self._counted(snapshot) for snapshot in self._switchboard.board.clinics()]

    async def clinic(self, clinic: str) -> ClinicSnapshot:
        """One; raises NotFoundError, UnavailableError."""
        return self._counted(self._switchboard.clinic(clinic))

    async def add_clinic(self, id: str, name: str, timezone: str | None = None) -> ClinicSnapshot:
        """Register it, and wait until it is there; if it is already, exactly so, there is nothing to do."""
        zone = _zone(timezone or "America/Sao_Paulo")
        record = ClinicRecord(
            id=check_name("id", id), name=display_name(name or id), timezone=zone, created_at=utc_now()
        )
        board, waiting = self._switchboard.board, f"clinic {id} is registered"
        try:
            await self._registry.create_clinic(record)
        except AlreadyExistsError:
            there = await self._switchboard.until(lambda: self._switchboard.wanted().clinics.get(id), waiting)
            if (there.name, there.timezone) != (record.name, record.timezone):
                raise
        return self._counted(await self._switchboard.until(lambda: board.clinic(id), waiting))

    async def configure_clinic(
        self, clinic: str, name: str | None = None, timezone: str | None = None
    ) -> ClinicSnapshot:
        """Register how it is to be, and wait until it is shown so, or as somebody else has changed it since."""
        if name is not None:
            display_name(name)
        if timezone is not None:
            _zone(timezone)
        self._switchboard.clinic(clinic)
        _, revision = await self._registry.configure_clinic(clinic, name, timezone)

        def applied() -> ClinicSnapshot | None:
            shown, wanted = self._switchboard.clinic(clinic), self._switchboard.wanted_since(revision)
            record = None if wanted is None else wanted.clinics.get(clinic)
            if record is None or (shown.name, shown.timezone) != (record.name, record.timezone):
                return None
            return shown

        return self._counted(await self._switchboard.until(applied, f"what is new of clinic {clinic} is registered"))

    async def remove_clinic(self, clinic: str) -> None:
        """Take it out of the registry, and wait until it has ended."""
        await self._registry.delete_clinic(clinic)
        board, waiting = self._switchboard.board, f"clinic {clinic} is being removed"
        await self._switchboard.until(lambda: board.clinic(clinic) is None or None, waiting)

    async def release_clinic(self, clinic: str) -> ClinicSnapshot:
        """Let a quarantined clinic out."""
        snapshot = self._switchboard.clinic(clinic)
        if snapshot.state is not ClinicState.QUARANTINED:
            raise ConflictError(f"clinic {clinic} is {snapshot.state}: only a quarantined one can be released")
        await self._switchboard.release(CLINICS, clinic, f"clinic {clinic}")
        released = await self._switchboard.until(lambda: self._released(clinic), f"clinic {clinic} is released")
        return self._counted(released)

    def _released(self, clinic: str) -> ClinicSnapshot | None:
        snapshot = self._switchboard.board.clinic(clinic)
        return None if snapshot is None or snapshot.state is ClinicState.QUARANTINED else snapshot

    def _counted(self, snapshot: ClinicSnapshot) -> ClinicSnapshot:
        board = self._switchboard.board
        return shown(snapshot, board.all_channels(snapshot.id), board.trouble(snapshot.id))


@cache
def _zones() -> frozenset[str]:
    """All there are. To look for them takes the loop 15 ms, which is too long for each time that a clinic asks."""
    return frozenset(available_timezones())


def _zone(timezone: str) -> str:
    """``timezone`` if there is one of that name. Raises InvalidInputError."""
    if timezone not in _zones():
        raise InvalidInputError("timezone", "an IANA time zone such as America/Sao_Paulo")
    return timezone


def display_name(name: str) -> str:
    """``name`` if people can be shown it. Raises InvalidInputError."""
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise InvalidInputError("name", f"1 to {MOST_NAME} printable characters")
    return name
