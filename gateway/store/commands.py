"""A clinic's commands: taken, woken, begun again, put away, shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from gateway.store.database import Row, execute, execute_many, fetch
from gateway.store.part import FOR_COMMANDS, Part
from gateway.store.rows import (
    array,
    command_row,
    content_of,
    maybe_moment,
    micros,
    moment,
    read_accepted,
    read_contact,
    read_failures,
    read_later,
    read_private,
    read_result,
)
from gateway.store.sealing import BODY, ID, JID, Seal, SealedFile
from protocol.bus import Later
from protocol.commands import SendCommand
from protocol.errors import ConflictError, NotFoundError
from protocol.events import ResultEvent
from protocol.ledger import (
    STRANGER,
    Accepted,
    Conflicted,
    Contact,
    Offer,
    Page,
    Repeated,
    Scheduled,
    Verdict,
)
from protocol.subjects import Priority
from protocol.views import CommandState, CommandView

FIRST_RUN: Final = 1
FOR_A_PERSON: Final = frozenset({CommandState.FAILED, CommandState.HELD})
"""What waits for a person to have it sent again, or to put it away: its body is still there."""
TO_SEND: Final = frozenset({CommandState.WAITING, CommandState.IN_FLIGHT})
_BEYOND: Final = (1 << 63) - 1
_SEQ: Final = 0
"""The column of the cursor in a row of ``select_page_of_state``."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds for an id: the hash of its content, when it was queued (in microseconds), and its final
    result if it has one."""

    content: bytes
    queued_at: int
    result: ResultEvent | None


def judge(offers: Sequence[Offer], known: Mapping[str, Known]) -> list[Offer | Repeated | Conflicted]:
    """The verdict on each offer, in order; those that are new as they are. An id that is offered twice is new once."""
    fresh: dict[str, Offer] = {}
    verdicts: list[Offer | Repeated | Conflicted] = []
    for offer in offers:
        key = offer.command.id
        if before := known.get(key):
            same = before.content == content_of(offer.command)
            # What was queued at the very same time is the queue's own repetition: nobody sent it twice.
            result = before.result if before.queued_at != micros(offer.queued_at) else None
        elif earlier := fresh.get(key):
            same, result = content_of(earlier.command) == content_of(offer.command), None
        else:
            fresh[key] = offer
            verdicts.append(offer)
            continue
        verdicts.append(Repeated(id=key, result=result) if same else Conflicted(id=key))
    return verdicts


def due_later(command: SendCommand, now: datetime) -> bool:
    """Whether it is not to be sent yet."""
    not_before = command.not_before
    return not_before is not None and not_before > now


def _accepted(channel: str, offer: Offer, contact: Contact) -> Accepted:
    return Accepted(
        channel=channel,
        command=offer.command,
        run=FIRST_RUN,
        priority=offer.priority,
        attempts=0,
        uncertain=False,
        queued_at=offer.queued_at,
        headers=offer.headers,
        contact=contact,
    )


class Commands(Part):
    """See ``protocol.ledger.Ledger``. Ids are unique per channel."""

    async def accept(self, channel: str, offers: Sequence[Offer], now: datetime) -> Sequence[Verdict]:
        """Take ownership of the new ones; one verdict for each offer, in order.

        Raises:
            StoreUnavailableError
            StoreFullError: there are new ones, and the file has no more room for commands.
        """

        def work(connection: SealedFile) -> Sequence[Verdict]:
            judged = judge(offers, self._known(connection, channel, offers))
            fresh = [offer for offer in judged if isinstance(offer, Offer)]
            chats = [str(offer.command.address) for offer in fresh]
            self._take(connection, channel, fresh, chats, now)
            contacts = self._contacts(connection, channel, chats)
            chat = iter(chats)
            return [
                self._owned(channel, each, contacts.get(next(chat), STRANGER), now) if isinstance(each, Offer) else each
                for each in judged
            ]

        return await self._database.transact(work) if offers else []

    def _known(self, connection: SealedFile, channel: str, offers: Sequence[Offer]) -> Mapping[str, Known]:
        seal = connection.seal
        ids = seal.tokens(ID, (offer.command.id for offer in offers))
        rows = fetch(connection, self._queries.select_known, {"channel": channel, "ids": array(ids)})
        return {ids[token]: read_known(seal, *columns) for token, *columns in rows}

    def _take(
        self, connection: SealedFile, channel: str, fresh: Sequence[Offer], chats: Sequence[str], now: datetime
    ) -> None:
        if fresh:
            self._check_room(connection, FOR_COMMANDS)
        [(last, turn)] = fetch(connection, self._queries.select_last, {"channel": channel})
        seal = connection.seal
        rows: list[Row] = []
        bodies: list[Row] = []
        for seq, (offer, chat) in enumerate(zip(fresh, chats, strict=True), start=last + 1):
            bodies.append((seq, seal.seal(BODY, seq, offer.body)))
            if due_later(offer.command, now):
                rows.append(command_row(seal, channel, offer, "scheduled", seq, None, chat))
            else:
                turn += 1
                rows.append(command_row(seal, channel, offer, "waiting", seq, turn, chat))
        execute_many(connection, self._queries.insert_command, rows)
        execute_many(connection, self._queries.insert_body, bodies)

    def _contacts(self, connection: SealedFile, channel: str, chats: Sequence[str]) -> Mapping[str, Contact]:
        jids = connection.seal.tokens(JID, chats)
        rows = fetch(connection, self._queries.select_people, {"channel": channel, "jids": array(jids)})
        return {jids[token]: read_contact(*columns) for token, *columns in rows}

    def _owned(self, channel: str, offer: Offer, contact: Contact, now: datetime) -> Accepted | Scheduled:
        accepted = _accepted(channel, offer, contact)
        return Scheduled(accepted=accepted) if due_later(offer.command, now) else accepted

    async def unfinished(self, channel: str) -> Sequence[Accepted]:
        """What was accepted, is not final and not scheduled, oldest first: in the order in which it was accepted, woken
        or begun again."""
        return await self._database.fetch(
            partial(read_accepted, channel), self._queries.select_unfinished, lambda _: {"channel": channel}
        )

    async def scheduled(self, channel: str) -> Sequence[Later]:
        """What waits for its time, oldest first."""
        return await self._database.fetch(read_later, self._queries.select_scheduled, lambda _: {"channel": channel})

    async def asleep(self, channel: str, id: str) -> Accepted | None:
        """This command, if it waits for its time."""

        def work(connection: SealedFile) -> Accepted | None:
            named = {"channel": channel, "ids": array([connection.seal.token(ID, id)])}
            rows = fetch(connection, self._queries.select_asleep, named)
            found = self._reread(connection, channel, [seq for seq, _, _ in rows])
            return found[0] if found else None

        return await self._database.look(work)

    async def wake(self, channel: str, items: Sequence[tuple[str, int]]) -> Sequence[Accepted]:
        """Of these (id, run), those that were scheduled are so no longer, in the order of acceptance."""
        wanted = set(items)

        def work(connection: SealedFile) -> Sequence[Accepted]:
            ids = connection.seal.tokens(ID, (key for key, _ in wanted))
            asleep = fetch(connection, self._queries.select_asleep, {"channel": channel, "ids": array(ids)})
            woken = [seq for seq, token, run in asleep if (ids[token], run) in wanted]
            [(_, turn)] = fetch(connection, self._queries.select_last, {"channel": channel})
            execute_many(
                connection, self._queries.wake_command, [(seq, turn + step) for step, seq in enumerate(woken, start=1)]
            )
            return self._reread(connection, channel, woken)

        return await self._database.transact(work) if items else []

    def _reread(self, connection: SealedFile, channel: str, seqs: Sequence[int]) -> Sequence[Accepted]:
        rows = fetch(connection, self._queries.select_owned, {"seqs": array(seqs)})
        return [read_accepted(channel, connection.seal, row) for row in rows]

    async def again(self, channel: str, id: str, state: CommandState, now: datetime) -> Accepted | Scheduled:
        """Begin a new run, queued ``now``, of a command whose last one ended as ``state``; one that is not to be sent
        yet is scheduled.

        Raises:
            NotFoundError: there is no such command.
            ConflictError: it is in another state, or that is none that waits for a person.
        """

        def work(connection: SealedFile) -> Accepted | Scheduled:
            seq = self._in_state(connection, channel, id, {state} & FOR_A_PERSON, "sent again")
            [(_, turn)] = fetch(connection, self._queries.select_last, {"channel": channel})
            execute(connection, self._queries.begin_again, {"seq": seq, "turn": turn + 1, "now": micros(now)})
            [accepted] = self._reread(connection, channel, [seq])
            if not due_later(accepted.command, now):
                return accepted
            execute(connection, self._queries.put_to_sleep, {"seq": seq})
            return Scheduled(accepted=accepted)

        return await self._database.transact(work)

    async def discard(self, channel: str, id: str) -> None:
        """Take a failed or held command off the list of those that wait for a person.

        Raises:
            NotFoundError, ConflictError: as for ``again``.
        """

        def work(connection: SealedFile) -> None:
            seq = self._in_state(connection, channel, id, FOR_A_PERSON, "discarded")
            execute(connection, self._queries.discard_command, {"seq": seq})

        await self._database.transact(work)

    def _in_state(
        self,
        connection: SealedFile,
        channel: str,
        id: str,
        states: frozenset[CommandState] | set[CommandState],
        what: str,
    ) -> int:
        named = {"channel": channel, "id": connection.seal.token(ID, id)}
        rows = fetch(connection, self._queries.select_state, named)
        if not rows:
            raise NotFoundError(f"channel {channel}: command {id}")
        [(seq, state)] = rows
        if state not in states:
            raise ConflictError(f"channel {channel}: command {id} is {state}, and cannot be {what} as it is")
        return int(seq)

    async def command(self, channel: str, id: str) -> CommandView:
        """One, with the history of its attempts. Raises NotFoundError."""
        found = await self._database.fetch(
            read_view, self._queries.select_command, lambda seal: {"channel": channel, "id": seal.token(ID, id)}
        )
        if not found:
            raise NotFoundError(f"channel {channel}: command {id}")
        return found[0]

    async def commands(self, channel: str, *, state: CommandState | None, before: int | None, limit: int) -> Page:
        """Of a channel, all or in a state, newest first, beginning after the cursor ``before``."""
        states = tuple(CommandState) if state is None else (state,)
        cursor = _BEYOND if before is None else before

        def work(connection: SealedFile) -> Page:
            rows = []
            for each in states:
                sql = self._queries.select_page_to_send if each in TO_SEND else self._queries.select_page_of_state
                named = {"channel": channel, "state": each.value, "before": cursor, "limit": limit + 1}
                rows += fetch(connection, sql, named)
            rows.sort(key=lambda row: row[_SEQ], reverse=True)
            more = len(rows) > limit
            return Page(
                items=[read_view(connection.seal, row) for row in rows[:limit]],
                next=rows[limit - 1][_SEQ] if more else None,
            )

        return await self._database.look(work)


def read_known(seal: Seal, seq: int, run: int, queued_at: int, private: bytes, event: bytes | None) -> Known:
    """A row of ``select_known``."""
    result = None if event is None else read_result(seal, seq, run, event)
    return Known(read_private(seal, seq, private).content, queued_at, result)


def read_view(seal: Seal, row: Row) -> CommandView:
    """A row of ``select_command`` and its like."""
    seq, run, state, priority, type_, attempts, queued_at, not_before, expires_at, deliver_by, *rest = row
    delivered_at, read_at, wa_id, sealed, event, failures = rest
    private = read_private(seal, seq, sealed)
    ended: dict[str, Any] = {"wa_id": wa_id}
    if event is not None:
        result = read_result(seal, seq, run, event)
        ended = {"wa_id": result.wa_id, "sent_at": result.sent_at, "error": result.error}
    return CommandView(
        id=private.id,
        run=run,
        state=CommandState(state),
        priority=Priority(priority),
        to=private.to,
        type=type_,
        attempts=attempts,
        queued_at=moment(queued_at),
        not_before=maybe_moment(not_before),
        expires_at=maybe_moment(expires_at),
        deliver_by=maybe_moment(deliver_by),
        delivered_at=maybe_moment(delivered_at),
        read_at=maybe_moment(read_at),
        history=read_failures(seal, seq, failures),
        meta=private.meta,
        **ended,
    )
