"""The registry in memory: what it is told, its watcher hears at once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ClinicRecord, WantedState
from protocol.errors import AlreadyExistsError, BusUnavailableError, NotFoundError
from tests.fakes.bell import Bell


class MemoryRegistry:
    """``away``: writing raises. ``silent``: watchers hear of nothing, and with the next change of what came of it.
    ``break_watch`` ends all watches with an error; ``watching`` counts those under way, ``watches`` all that there ever
    were.
    """

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.away = False
        self.watching = 0
        self.watches = 0
        self.silent = False
        self.revision = 0
        self.clinics: dict[str, ClinicRecord] = {}
        self.channels: dict[tuple[str, str], ChannelRecord] = {}
        self._watchers: list[tuple[asyncio.AbstractEventLoop, Callable[[Wanted], None], asyncio.Event]] = []

    @property
    def wanted(self) -> Wanted:
        channels = {key: record for key, record in self.channels.items() if key[0] in self.clinics}
        return Wanted(clinics=dict(self.clinics), channels=channels, revision=self.revision)

    def tell(self) -> None:
        """Tell the watchers how it is now; from any thread."""
        self.revision += 1
        if self.silent:
            return
        for loop, deliver, _ in self._watchers:
            loop.call_soon_threadsafe(deliver, self.wanted)

    def break_watch(self) -> None:
        for loop, _, broken in self._watchers:
            loop.call_soon_threadsafe(broken.set)

    async def watch(self, deliver: Callable[[Wanted], None]) -> None:
        watcher = (asyncio.get_running_loop(), deliver, asyncio.Event())
        self._watchers.append(watcher)
        self.watching += 1
        self.watches += 1
        self.bell.ring()
        try:
            deliver(self.wanted)
            await watcher[2].wait()
            raise BusUnavailableError("the watch broke")
        finally:
            self._watchers.remove(watcher)
            self.watching -= 1
            self.bell.ring()

    async def create_clinic(self, record: ClinicRecord) -> None:
        self._check()
        if record.id in self.clinics:
            raise AlreadyExistsError(f"clinic {record.id}")
        self.clinics[record.id] = record
        self.tell()

    async def create_channel(self, record: ChannelRecord) -> None:
        self._check()
        if record.clinic not in self.clinics:
            raise NotFoundError(f"clinic {record.clinic}")
        if (record.clinic, record.id) in self.channels:
            raise AlreadyExistsError(f"channel {record.clinic}/{record.id}")
        self.channels[record.clinic, record.id] = record
        self.tell()

    async def want_channel(self, clinic: str, channel: str, wanted: WantedState) -> None:
        self._check()
        if (clinic, channel) not in self.channels:
            raise NotFoundError(f"channel {clinic}/{channel}")
        record = self.channels[clinic, channel]
        self.channels[clinic, channel] = msgspec.structs.replace(record, wanted=wanted)
        self.tell()

    async def configure_channel(
        self, clinic: str, channel: str, config: Mapping[str, Any] | None, name: str | None = None
    ) -> tuple[ChannelRecord, int]:
        self._check()
        if (clinic, channel) not in self.channels:
            raise NotFoundError(f"channel {clinic}/{channel}")
        record = self.channels[clinic, channel]
        config = record.config if config is None else dict(config)
        changed = msgspec.structs.replace(record, config=config, name=name or record.name)
        if changed != record:
            self.channels[clinic, channel] = changed
            self.tell()
        return changed, self.revision

    async def configure_clinic(self, clinic: str, name: str | None, timezone: str | None) -> tuple[ClinicRecord, int]:
        self._check()
        if clinic not in self.clinics:
            raise NotFoundError(f"clinic {clinic}")
        record = self.clinics[clinic]
        changed = msgspec.structs.replace(record, name=name or record.name, timezone=timezone or record.timezone)
        if changed != record:
            self.clinics[clinic] = changed
            self.tell()
        return changed, self.revision

    async def delete_clinic(self, clinic: str) -> None:
        self._check()
        if self.clinics.pop(clinic, None) is None:
            raise NotFoundError(f"clinic {clinic}")
        self.channels = {key: record for key, record in self.channels.items() if key[0] != clinic}
        self.tell()

    async def withdraw_clinic(self, clinic: str) -> None:
        self._check()
        self.clinics.pop(clinic, None)
        self.tell()

    async def put_clinic(self, record: ClinicRecord, channels: Sequence[ChannelRecord]) -> None:
        self._check()
        self.channels = {key: one for key, one in self.channels.items() if key[0] != record.id}
        self.channels |= {(record.id, one.id): one for one in channels}
        await self.create_clinic(record)

    async def delete_channel(self, clinic: str, channel: str) -> None:
        self._check()
        if self.channels.pop((clinic, channel), None) is None:
            raise NotFoundError(f"channel {clinic}/{channel}")
        self.tell()

    def _check(self) -> None:
        if self.away:
            raise BusUnavailableError("NATS is away")
