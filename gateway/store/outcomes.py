"""What came of a clinic's commands: attempts and results, receipts, deadlines."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec import structs

from gateway.store.database import Row, execute, execute_many, fetch
from gateway.store.part import Part
from gateway.store.rows import (
    array,
    maybe_moment,
    micros,
    moment,
    of_attempt,
    of_run,
    pack,
    read_failures,
    read_private,
    read_result,
)
from gateway.store.sealing import ATTEMPT, BODY, FAILURE, ID, PERSON, RESULT, Seal, SealedFile
from protocol.codes import ErrorCode
from protocol.errors import ConflictError, NotFoundError
from protocol.events import DeadLetter, ErrorBody, ResultEvent
from protocol.ledger import RECEIPTS, Attempt, Changes, Receipt, Sender, Sendings, Setback, Unpublished

UNFINISHED: Final = frozenset({"scheduled", "waiting", "in_flight"})
MOST_STRAYS: Final = 10_000
"""Receipts that are kept of a channel without being known to be ours; about 1 MB."""
_NO_ERROR: Final = ErrorBody.of(ErrorCode.INTERNAL, "no error was given")


class Run(NamedTuple):
    """A row of ``select_runs``; its id, not the token of that. ``chat`` is the token of the recipient's JID."""

    id: str
    seq: int
    run: int
    state: str
    attempts: int
    deliver_by: int | None
    delivered_at: int | None
    chat: str
    private: bytes


class Outcomes(Part):
    """See ``protocol.ledger.Ledger``."""

    async def record(self, channel: str, changes: Changes) -> None:
        """Record what happened, as one transaction: setbacks, results, what NATS has, beginnings.

        Raises:
            ConflictError: a beginning of what is final or scheduled, or anything of an unknown command or run; nothing
                was changed.
        """
        queries = self._queries

        def work(connection: SealedFile) -> None:
            if changes.setbacks:
                self._set_back(connection, channel, changes.setbacks)
            if changes.results:
                self._finish(connection, channel, changes.results)
            if changes.published:
                token = connection.seal.token
                published = [(channel, token(ID, key), run) for key, run in changes.published]
                execute_many(connection, queries.mark_published, published)
            if changes.begun:
                self._begin(connection, channel, changes.begun)

        if changes:
            await self._database.transact(work)

    def _begin(self, connection: SealedFile, channel: str, attempts: Sequence[Attempt]) -> None:
        seal, rows = connection.seal, list[Row]()
        for attempt in attempts:
            token = seal.token(ID, attempt.id)
            rows.append((channel, token, attempt.run, seal.seal(ATTEMPT, token, attempt.secret)))
        if execute_many(connection, self._queries.begin_attempt, rows) != len(rows):
            raise ConflictError(f"channel {channel}: a command that is final, scheduled or unknown cannot begin")

    def _runs(
        self, connection: SealedFile, channel: str, named: Sequence[Setback] | Sequence[ResultEvent]
    ) -> dict[str, Run]:
        ids = connection.seal.tokens(ID, (each.id for each in named))
        rows = fetch(connection, self._queries.select_runs, {"channel": channel, "ids": array(ids)})
        found = {ids[token]: Run(ids[token], *columns) for token, *columns in rows}
        for each in named:
            if each.id not in found or each.run > found[each.id].run:
                raise ConflictError(f"channel {channel}: there is no command {each.id} with a run {each.run}")
        return found

    def _set_back(self, connection: SealedFile, channel: str, setbacks: Sequence[Setback]) -> None:
        runs = self._runs(connection, channel, setbacks)
        for setback in setbacks:
            now = runs[setback.id]
            if now.run != setback.run or now.state != "in_flight":
                continue
            if setback.error is not None:
                self._note_failure(connection, now, setback.error, setback.at)
            attempts = now.attempts if setback.spent else max(0, now.attempts - 1)
            if setback.uncertain:
                execute_many(connection, self._queries.doubt_attempt, [(now.seq, attempts, setback.wa_id)])
                if setback.wa_id is not None:
                    self._claim_strays(connection, channel, {setback.wa_id: now.seq})
                runs[now.id] = now._replace(attempts=attempts)
            else:
                execute_many(connection, self._queries.settle_attempt, [(now.seq, attempts)])
                runs[now.id] = now._replace(attempts=attempts, state="waiting")

    def _note_failure(self, connection: SealedFile, run: Run, error: ErrorBody, at: datetime) -> None:
        place = of_attempt(run.seq, run.run, run.attempts)
        message = connection.seal.seal(FAILURE, place, error.message.encode())
        row = (run.seq, run.run, run.attempts, micros(at), error.code, message, error.permanent)
        execute_many(connection, self._queries.insert_failure, [row])

    def _finish(self, connection: SealedFile, channel: str, results: Sequence[ResultEvent]) -> None:
        queries, runs, at = self._queries, self._runs(connection, channel, results), self._clock()
        recorded, seal = micros(at), connection.seal
        [(place,)] = fetch(connection, queries.select_last_place, {})
        ended: list[Row] = []
        events: list[Row] = []
        sent: list[Row] = []
        needless: list[Row] = []
        known: dict[str, int] = {}
        for result in results:
            now = runs.get(result.id)
            if now is None or now.run != result.run or now.state not in UNFINISHED:
                continue
            if result.error is not None and now.state == "in_flight" and result.status in ("failed", "held"):
                self._note_failure(connection, now, result.error, at)
            del runs[result.id]  # of two results for one run the first stands
            code = None if result.error is None else result.error.code
            place += 1
            event = seal.seal(RESULT, of_run(now.seq, now.run), pack(result))
            events.append((now.seq, now.run, place, recorded, result.status, code, result.wa_id, event))
            ended_at = recorded if result.sent_at is None else micros(result.sent_at)
            deadline = None
            if result.status == "sent":
                deadline = now.deliver_by if now.delivered_at is None else None
                if now.run == 1:  # the dead letter of an earlier run may still be asked for, with its body
                    needless.append((now.seq,))
                chat = read_private(seal, now.seq, now.private).chat
                sent.append(written_to(seal, channel, now.chat, chat, ended_at))
                if result.wa_id is not None:
                    known.setdefault(result.wa_id, now.seq)
            ended.append((now.seq, result.status, ended_at, deadline))
        execute_many(connection, queries.finish_command, ended)
        execute_many(connection, queries.insert_result, events)
        if sent:
            execute_many(connection, queries.delete_body, needless)
            execute_many(connection, queries.note_out, sent)
            execute(connection, queries.mark_first_sent, {"channel": channel, "at": sent[0][2]})
            self._claim_strays(connection, channel, known)

    async def unpublished(self, channel: str) -> Sequence[Unpublished]:
        """Final results whose publication was not recorded, oldest first, with the dead letters of those that failed
        and were not cancelled."""
        return await self._database.fetch(
            read_unpublished, self._queries.select_unpublished, lambda _: {"channel": channel}
        )

    async def letter(self, channel: str, id: str, run: int) -> DeadLetter:
        """The dead letter of a failed run, with the history of all runs so far. Raises NotFoundError."""

        def named(seal: Seal) -> Mapping[str, Any]:
            return {"channel": channel, "id": seal.token(ID, id), "run": run}

        for found in await self._database.fetch(read_unpublished, self._queries.select_failed, named):
            if found.letter is not None:
                return found.letter
        raise NotFoundError(f"channel {channel}: a dead letter of command {id}, run {run}")

    async def receipted(self, channel: str, receipts: Sequence[Receipt]) -> Mapping[str, Sender]:
        """Note receipts; the commands behind their WhatsApp ids, where they are known to be ours. The others are kept a
        day if something is under way that may turn out to have sent them; ``MOST_STRAYS`` of them, since anybody can
        send us receipts for ids of their own making."""
        named = {"channel": channel, "wa_ids": array({receipt.wa_id for receipt in receipts})}

        def work(connection: SealedFile) -> Mapping[str, Sender]:
            rows = fetch(connection, self._queries.select_senders, named)
            rows += fetch(connection, self._queries.select_unsettled, named)
            self._note(connection, rows, receipts)
            ours = {row[0] for row in rows}
            self._keep_strays(connection, channel, [receipt for receipt in receipts if receipt.wa_id not in ours])
            return dict(read_sender(connection.seal, row) for row in rows)

        return await self._database.transact(work) if receipts else {}

    def _keep_strays(self, connection: SealedFile, channel: str, strays: Sequence[Receipt]) -> None:
        if not strays:
            return
        named = {"channel": channel, "most": MOST_STRAYS}
        for (room,) in fetch(connection, self._queries.select_room_for_strays, named):
            noted = micros(self._clock())
            rows = [(channel, stray.wa_id, stray.kind, micros(stray.at), noted) for stray in strays[: max(0, room)]]
            execute_many(connection, self._queries.insert_stray, rows)

    async def proven(self, channel: str, wa_ids: Sequence[str]) -> frozenset[str]:
        """Of the WhatsApp ids under which commands may have been sent, those that a receipt has come for."""
        named = {"channel": channel, "wa_ids": array(wa_ids)}
        found = await self._database.fetch(_first, self._queries.select_proven, lambda _: named)
        return frozenset(found)

    async def ours(self, channel: str, wa_ids: Sequence[str]) -> frozenset[str]:
        """Of these WhatsApp ids, those that a command was sent under."""
        named = {"channel": channel, "wa_ids": array(set(wa_ids))}
        found: list[str] = []
        for sql in (self._queries.select_senders, self._queries.select_unsettled):
            found += await self._database.fetch(_first, sql, lambda _: named)
        return frozenset(found)

    def _note(self, connection: SealedFile, rows: Sequence[Row], receipts: Sequence[Receipt]) -> None:
        """The receipts of present runs, where they belong."""
        present: dict[str, list[int]] = {}
        for wa_id, seq, run, current, *_ in rows:
            if run == current:
                present.setdefault(wa_id, []).append(seq)
        self._note_kinds(
            connection,
            [(seq, micros(each.at), each.kind) for each in receipts for seq in present.get(each.wa_id, ())],
        )

    def _claim_strays(self, connection: SealedFile, channel: str, known: Mapping[str, int]) -> None:
        """These WhatsApp ids are of the present runs of these commands, by ``seq``: now their receipts are as well."""
        if not fetch(connection, self._queries.select_any_stray, {"channel": channel}):
            return  # as nearly always, and looking for each of them costs ten times as much
        named = {"channel": channel, "wa_ids": array(known)}
        strays = fetch(connection, self._queries.claim_strays, named)
        self._note_kinds(connection, [(known[wa_id], at, kind) for wa_id, kind, at in strays])

    def _note_kinds(self, connection: SealedFile, noted: Sequence[tuple[int, int, str]]) -> None:
        for sql, kinds in (
            (self._queries.note_delivered, ("delivered", "read", "played")),
            (self._queries.note_read, ("read", "played")),
            (self._queries.note_played, ("played",)),
        ):
            execute_many(connection, sql, [(seq, at) for seq, at, kind in noted if kind in kinds])

    async def overdue(self, channel: str, now: datetime) -> Sequence[Unpublished]:
        """Commands sent and not delivered by their ``deliver_by``, the most overdue first: for each a ``late`` result,
        until ``lateness`` says that NATS has it. ``at`` is the deadline."""
        return await self._database.fetch(
            read_overdue, self._queries.select_overdue, lambda _: {"channel": channel, "now": micros(now)}
        )

    async def lateness(self, channel: str, items: Sequence[tuple[str, int]]) -> None:
        """NATS has the ``late`` results of these (id, run). Harmless for one that is none."""

        def work(connection: SealedFile) -> None:
            token = connection.seal.token
            rows = [(channel, token(ID, key), run) for key, run in items]
            execute_many(connection, self._queries.clear_deadline, rows)

        if items:
            await self._database.transact(work)

    async def next_deadline(self, channel: str) -> datetime | None:
        """The earliest ``deliver_by`` of what is sent and not delivered."""
        [deadline] = await self._database.fetch(
            lambda _, row: maybe_moment(row[0]), self._queries.select_next_deadline, lambda _: {"channel": channel}
        )
        return deadline

    async def sendings(self, channel: str, *, minute: datetime, day: datetime) -> Sendings:
        """What was sent since ``minute`` and since ``day``. A group is no new contact."""
        named = {"channel": channel, "minute": micros(minute), "day": micros(day)}
        [found] = await self._database.fetch(read_sendings, self._queries.count_sendings, lambda _: named)
        return found


def written_to(seal: Seal, channel: str, token: str, chat: str, at: int) -> Row:
    """The parameters of ``note_out``; ``token`` is that of ``chat``. A group is no person."""
    return channel, token, at, not chat.endswith("@g.us"), seal.seal(PERSON, token, chat.encode())


def _first(_: Seal, row: Row) -> str:
    return str(row[0])


def read_unpublished(seal: Seal, row: Row) -> Unpublished:
    """A row of ``select_unpublished``."""
    seq, run, event, sealed, at, status, code, body, failures = row
    result, private, letter = read_result(seal, seq, run, event), read_private(seal, seq, sealed), None
    if status == "failed" and code != ErrorCode.CANCELLED.value:
        letter = DeadLetter(
            clinic=result.clinic,
            channel=result.channel,
            id=result.id,
            run=result.run,
            error=result.error or _NO_ERROR,
            attempts=result.attempts,
            at=moment(at),
            body=seal.open(BODY, seq, body),
            history=read_failures(seal, seq, failures),
            meta=private.meta,
        )
    return Unpublished(result=result, headers=private.headers, at=moment(at), letter=letter)


def read_overdue(seal: Seal, row: Row) -> Unpublished:
    """A row of ``select_overdue``."""
    seq, run, event, private, deadline = row
    result = structs.replace(read_result(seal, seq, run, event), status="late")
    headers = read_private(seal, seq, private).headers
    return Unpublished(result=result, headers=headers, at=moment(deadline), letter=None)


def read_sender(seal: Seal, row: Row) -> tuple[str, Sender]:
    """A row of ``select_senders`` or ``select_unsettled``."""
    wa_id, seq, run, current, sealed, unsettled, ended_at, *marks = row
    private = read_private(seal, seq, sealed)
    noted = (kind for kind, at in zip(RECEIPTS, marks, strict=True) if at is not None or run != current)
    sender = Sender(
        id=private.id,
        run=run,
        to=private.to,
        meta=private.meta,
        headers=private.headers,
        unsettled=bool(unsettled),
        noted=frozenset(noted),
        sent_at=maybe_moment(ended_at) if run == current else None,
    )
    return wa_id, sender


def read_sendings(_: Seal, row: Row) -> Sendings:
    """The row of ``count_sendings``."""
    last_minute, today, new_today, first = row
    return Sendings(last_minute=last_minute, today=today, new_today=new_today, first=maybe_moment(first))
