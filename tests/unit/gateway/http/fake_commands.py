"""The part of a node without a node that holds commands, and answers for WhatsApp."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from protocol.channel import ChannelSnapshot
from protocol.errors import ConflictError, InvalidInputError, NotFoundError
from protocol.port import Presence
from protocol.subjects import Priority
from protocol.views import (
    ChannelStats,
    ClinicStats,
    CommandPage,
    CommandState,
    CommandView,
    NumberCheck,
    NumberChecks,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LONGEST_S = 0.01
"""How long a command is really waited for."""
WAITS = frozenset({CommandState.WAITING, CommandState.SCHEDULED})


def command_view(id: str, state: CommandState = CommandState.WAITING, **changes: Any) -> CommandView:
    """A command as it is shown, with ``changes``."""
    fresh = CommandView(
        id=id, run=1, state=state, priority=Priority.NORMAL, to="5511912345678", type="text", attempts=0, queued_at=NOW
    )
    return replace(fresh, **changes)


@dataclass
class FakeCommands:
    """``held``: the commands of each channel, oldest first; those named in ``ends`` are so once they are waited for,
    ``waited`` is set once somebody waits for one.

    ``on_whatsapp``: the numbers that WhatsApp knows; ``marked`` and ``shown``: what it was told. A channel may have
    ``pacing`` of its own.
    """

    held: dict[tuple[str, str], dict[str, CommandView]] = field(default_factory=dict)
    ends: dict[str, CommandState] = field(default_factory=dict)
    on_whatsapp: set[str] = field(default_factory=set)
    marked: list[tuple[str, Sequence[str], str | None]] = field(default_factory=list)
    shown: list[tuple[Presence, str | None]] = field(default_factory=list)
    waited: asyncio.Event = field(default_factory=asyncio.Event)

    async def _enter(self, method: str, *arguments: str) -> None:
        raise NotImplementedError

    def _channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        raise NotImplementedError

    def set(self, clinic: str, channel: str, **changes: Any) -> None:
        raise NotImplementedError

    def put(self, clinic: str, channel: str, *views: CommandView) -> None:
        """The channel has these commands now."""
        self.held.setdefault((clinic, channel), {}).update({view.id: view for view in views})

    async def commands(
        self, clinic: str, channel: str, *, state: CommandState | None, cursor: str | None, limit: int
    ) -> CommandPage:
        await self._enter("commands", clinic, channel, str(state), str(cursor), str(limit))
        self._channel(clinic, channel)
        if cursor is not None and not cursor.isdecimal():
            raise InvalidInputError("cursor", "what an earlier answer gave as next")
        found = [view for view in self.held.get((clinic, channel), {}).values() if state in (None, view.state)]
        begin = int(cursor or 0)
        items = found[::-1][begin : begin + limit]
        return CommandPage(items=items, next=str(begin + limit) if begin + limit < len(found) else None)

    async def command(self, clinic: str, channel: str, id: str, *, wait_s: float = 0.0) -> CommandView:
        await self._enter("command", clinic, channel, id, f"{wait_s:g}")
        if wait_s and id in self.ends:
            self.put(clinic, channel, replace(self._command(clinic, channel, id), state=self.ends[id]))
        elif wait_s:
            self.waited.set()
            await asyncio.sleep(min(wait_s, LONGEST_S))
        return self._command(clinic, channel, id)

    async def cancel(self, clinic: str, channel: str, id: str) -> CommandView:
        return await self._become("cancel", (clinic, channel, id), WAITS, CommandState.FAILED)

    async def release(self, clinic: str, channel: str, id: str) -> CommandView:
        return await self._become("release", (clinic, channel, id), {CommandState.HELD}, CommandState.WAITING)

    async def replay(self, clinic: str, channel: str, id: str) -> CommandView:
        return await self._become("replay", (clinic, channel, id), {CommandState.FAILED}, CommandState.WAITING)

    async def discard(self, clinic: str, channel: str, id: str) -> CommandView:
        away = {CommandState.FAILED, CommandState.HELD}
        return await self._become("discard", (clinic, channel, id), away, CommandState.DISCARDED)

    async def configure(
        self, clinic: str, channel: str, config: Mapping[str, Any] | None, name: str | None = None
    ) -> ChannelSnapshot:
        await self._enter("configure", clinic, channel, str(config), str(name))
        before = self._channel(clinic, channel)
        if config is not None and (unknown := config.keys() - {"pacing"}):
            raise InvalidInputError(f"config.{min(unknown)}", "a known setting, one of pacing")
        config = before.config if config is None else dict(config)
        self.set(clinic, channel, config=config, name=name or before.name)
        return self._channel(clinic, channel)

    async def check(self, clinic: str, channel: str, phones: Sequence[str]) -> NumberChecks:
        await self._enter("check", clinic, channel, *phones)
        self._channel(clinic, channel)
        return NumberChecks(
            items=[
                NumberCheck(
                    phone=phone,
                    on_whatsapp=phone in self.on_whatsapp,
                    jid=f"{phone}@s.whatsapp.net" if phone in self.on_whatsapp else None,
                )
                for phone in phones
            ]
        )

    async def mark_read(self, clinic: str, channel: str, chat: str, wa_ids: Sequence[str], sender: str | None) -> None:
        await self._enter("mark_read", clinic, channel)
        self._channel(clinic, channel)
        self.marked.append((chat, wa_ids, sender))

    async def presence(self, clinic: str, channel: str, presence: Presence, chat: str | None) -> None:
        await self._enter("presence", clinic, channel)
        self._channel(clinic, channel)
        self.shown.append((presence, chat))

    async def stats(self, clinic: str) -> ClinicStats:
        await self._enter("stats", clinic)
        channels = [
            ChannelStats(
                channel=channel,
                commands={state: sum(view.state is state for view in views.values()) for state in CommandState},
                spooled=3,
            )
            for (of, channel), views in sorted(self.held.items())
            if of == clinic
        ]
        return ClinicStats(clinic=clinic, channels=channels, database_bytes=4096, database_limit=2 << 30)

    def _command(self, clinic: str, channel: str, id: str) -> CommandView:
        self._channel(clinic, channel)
        found = self.held.get((clinic, channel), {}).get(id)
        if found is None:
            raise NotFoundError(f"command {id}")
        return found

    async def _become(self, verb: str, where: tuple[str, str, str], before: Any, after: CommandState) -> CommandView:
        await self._enter(verb, *where)
        found = self._command(*where)
        if found.state not in before:
            raise ConflictError(f"command {found.id} is {found.state}: {verb} is not possible")
        self.put(*where[:2], replace(found, state=after))
        return self._command(*where)
