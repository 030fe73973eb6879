"""What a clinic's database holds of people: handed over, and erased."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from gateway.store.commands import read_view
from gateway.store.consents import BEYOND, Consents, read_consent, whose
from gateway.store.database import Row, execute, execute_many, fetch
from gateway.store.rows import (
    Agreed,
    array,
    maybe_moment,
    moment,
    pack,
    read_agreed,
    read_inbound,
    read_paired,
    read_private,
    read_result,
)
from gateway.store.sealing import BODY, CONSENT, PERSON, Seal, SealedFile
from protocol.inbound import Inbound
from protocol.ledger import NO_NUMBER
from protocol.records import CommandRecord, Consent, Erased, InboundRecord, NumberRecord, PersonRecord, Record

T = TypeVar("T")

PAGE: Final = 16
"""Records that are read at once: a body may be large."""
_VIEW: Final = 16
"""The columns of ``export_commands`` that are those of ``select_command``."""


class ClinicRecords(Consents):
    """See ``protocol.records.Records``."""

    async def export(self, people: Collection[str] | None = None) -> AsyncIterator[Record]:
        """As the protocol says."""
        queries = self._queries
        if people is None:
            async for number in self._pages(_read_number, queries.export_numbers, None, {"after": ""}):
                if number.phone != NO_NUMBER:
                    yield number
        async for command in self._pages(_read_command, queries.export_commands, people, {"after": 0}):
            yield await self._with_results(*command)
        async for inbound in self._pages(_read_inbound, queries.export_spool, None, {"after": 0}):
            if people is None or is_of(inbound.what, people):
                yield inbound
        async for person in self._pages(_read_person, queries.export_people, people, {"channel": "", "after": ""}):
            yield person
        async for consent in self._pages(_read_consent, queries.select_consents, people, {"before": BEYOND}):
            yield consent

    async def _pages(
        self,
        read: Callable[[Seal, Row], tuple[Mapping[str, Any], T]],
        sql: str,
        people: Collection[str] | None,
        after: Mapping[str, Any],
    ) -> AsyncIterator[T]:
        """``read`` gives of a row the place after which the next one is, and what it says."""
        named = {"limit": PAGE, "channel": None, **after}
        while page := await self._database.fetch(read, sql, partial(_named, named, people)):
            for _, each in page:
                yield each
            named |= page[-1][0]

    async def _with_results(self, seq: int, record: CommandRecord) -> CommandRecord:
        results = await self._database.fetch(
            lambda seal, row: read_result(seal, *row), self._queries.export_results, lambda _: {"seqs": array([seq])}
        )
        return replace(record, results=results)

    async def erase_person(self, people: Collection[str]) -> Erased:
        """As the protocol says."""
        queries = self._queries

        def work(connection: SealedFile) -> Erased:
            named = whose(connection.seal, people)
            [(under_way,)] = fetch(connection, queries.count_under_way, named)
            inbound = self._erase_inbound(connection, people)
            commands = execute(connection, queries.erase_commands, named)
            consents = self._erase_consents(connection, named)
            gone = execute(connection, queries.erase_people, named)
            gone += execute(connection, queries.strip_people, named)
            return Erased(commands=commands, inbound=inbound, people=gone, consents=consents, under_way=under_way)

        return await self._database.erase(work)

    def _erase_inbound(self, connection: SealedFile, people: Collection[str]) -> int:
        found: list[int] = []
        named = {"after": 0, "limit": PAGE}
        while rows := fetch(connection, self._queries.export_spool, named):
            for seq, _, what, _ in rows:
                if is_of(read_inbound(connection.seal, seq, what), people):
                    found.append(seq)
            named["after"] = rows[-1][0]
        sizes = fetch(connection, self._queries.erase_spooled, {"seqs": array(found)})
        execute(connection, self._queries.add_size, {"bytes": -sum(size for (size,) in sizes)})
        return len(sizes)

    def _erase_consents(self, connection: SealedFile, named: Mapping[str, Any]) -> int:
        seal, kept = connection.seal, list[Row]()
        for seq, sealed in fetch(connection, self._queries.select_consents_to_keep, named):
            kept.append((seq, seal.seal(CONSENT, seq, pack(Agreed(read_agreed(seal, seq, sealed).people, "")))))
        execute_many(connection, self._queries.reseal_consent, kept)
        return execute(connection, self._queries.erase_consents, {**named, "kept": array(seq for seq, _ in kept)})


def _named(named: Mapping[str, Any], people: Collection[str] | None, seal: Seal) -> Mapping[str, Any]:
    return {**named, **whose(seal, people)}


def is_of(what: Inbound, people: Collection[str]) -> bool:
    """Whether it came from one of these, or in the chat with them."""
    return what.chat in people or what.sender in people


def _read_number(seal: Seal, row: Row) -> tuple[Mapping[str, Any], NumberRecord]:
    channel, sealed = row
    paired = read_paired(seal, channel, sealed)
    return {"after": channel}, NumberRecord(channel=channel, phone=paired.phone, jid=paired.jid)


def _read_command(seal: Seal, row: Row) -> tuple[Mapping[str, Any], tuple[int, CommandRecord]]:
    channel, played_at, body = row[_VIEW:]
    seq, private = row[0], row[_VIEW - 3]
    record = CommandRecord(
        channel=channel,
        view=read_view(seal, row[:_VIEW]),
        played_at=maybe_moment(played_at),
        headers=read_private(seal, seq, private).headers,
        body=seal.maybe_open(BODY, seq, body),
        results=(),
    )
    return {"after": seq}, (seq, record)


def _read_inbound(seal: Seal, row: Row) -> tuple[Mapping[str, Any], InboundRecord]:
    seq, channel, what, at = row
    return {"after": seq}, InboundRecord(channel=channel, what=read_inbound(seal, seq, what), at=moment(at))


def _read_person(seal: Seal, row: Row) -> tuple[Mapping[str, Any], PersonRecord]:
    channel, token, sealed, last_in, first_out, last_out, opted_out = row
    record = PersonRecord(
        channel=channel,
        jid=seal.open(PERSON, token, sealed).decode(),
        last_in=maybe_moment(last_in),
        first_out=maybe_moment(first_out),
        last_out=maybe_moment(last_out),
        opted_out=bool(opted_out),
    )
    return {"channel": channel, "after": token}, record


def _read_consent(seal: Seal, row: Row) -> tuple[Mapping[str, Any], Consent]:
    return {"before": row[0]}, read_consent(seal, row)
