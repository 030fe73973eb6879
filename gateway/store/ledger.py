"""A clinic's ledger: the commands that Plantão owns, how often each was tried, and how it ended."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gateway.store.database import Database, Row, execute, execute_many, fetch
from gateway.store.queries import load_queries
from gateway.store.rows import (
    command_row,
    content_of,
    read_accepted,
    read_headers,
    read_result,
    read_sender,
    result_row,
)
from protocol.errors import ConflictError
from protocol.events import ResultEvent
from protocol.ledger import Accepted, Conflicted, Offer, Repeated, Sender, Verdict

FIRST_RUN: Final = 1


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds for an id: the hash of its content, and its final result if it has one."""

    content: bytes
    result: ResultEvent | None


def judge(
    channel: str, offers: Sequence[Offer], known: Mapping[str, Known]
) -> tuple[Sequence[Verdict], Sequence[Offer]]:
    """The verdict on each offer, in order, and the offers to be stored. An id that is offered twice is new once."""
    fresh: dict[str, Offer] = {}
    verdicts: list[Verdict] = []
    for offer in offers:
        key = offer.command.id
        if before := known.get(key):
            same, result = before.content == content_of(offer.command), before.result
        elif earlier := fresh.get(key):
            same, result = content_of(earlier.command) == content_of(offer.command), None
        else:
            fresh[key] = offer
            verdicts.append(_accepted(channel, offer))
            continue
        verdicts.append(Repeated(id=key, result=result) if same else Conflicted(id=key))
    return verdicts, list(fresh.values())


def _accepted(channel: str, offer: Offer) -> Accepted:
    return Accepted(
        channel=channel,
        command=offer.command,
        run=FIRST_RUN,
        priority=offer.priority,
        attempts=0,
        uncertain=False,
        queued_at=offer.queued_at,
        headers=offer.headers,
    )


class SqliteLedger:
    """``protocol.interfaces.Ledger`` on a ``Database``: each method is one transaction.

    All raise StoreUnavailableError, having changed nothing. Ids are unique per channel.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries()

    async def open(self) -> None:
        """Open the file; harmless if it is open."""
        await self._database.open()

    async def close(self) -> None:
        """Close the file after what was asked before. Never fails."""
        await self._database.close()

    async def accept(self, channel: str, offers: Sequence[Offer]) -> Sequence[Verdict]:
        """Take ownership of the new ones; one verdict for each offer, in order."""

        def work(connection: sqlite3.Connection) -> Sequence[Verdict]:
            verdicts, fresh = judge(channel, offers, self._known(connection, channel, offers))
            rows = (command_row(channel, offer, FIRST_RUN) for offer in fresh)
            execute_many(connection, self._queries.insert_command, rows)
            return verdicts

        return await self._database.transact(work) if offers else []

    async def unfinished(self, channel: str) -> Sequence[Accepted]:
        """What was accepted and is not final, oldest first; ``uncertain``: an attempt began and was not settled."""
        return await self._database.fetch(
            partial(read_accepted, channel), self._queries.select_unfinished, {"channel": channel}
        )

    async def begin(self, channel: str, ids: Sequence[str]) -> None:
        """Count an attempt more for each, and hold them for uncertain until the attempt is settled.

        Raises:
            ConflictError: one of them is final or unknown, so it must not be sent; nothing was changed.
        """

        def work(connection: sqlite3.Connection) -> None:
            changed = execute(connection, self._queries.begin_attempt, _named(channel, ids=ids))
            _all_or_none(changed, len(set(ids)), f"channel {channel}: begin: a command is final or unknown")

        await self._database.transact(work)

    async def retry(self, channel: str, id: str) -> None:
        """The attempt failed and nothing was sent: no longer uncertain. Harmless if it was not."""
        await self._change(self._queries.clear_attempt, {"channel": channel, "id": id})

    async def finish(self, channel: str, results: Sequence[ResultEvent]) -> None:
        """Record final results, to be published. A run that is final stays as it is: its first result stands.

        Raises:
            ConflictError: there is no such command or run; nothing was changed.
        """
        rows = [result_row(channel, result) for result in results]

        def work(connection: sqlite3.Connection) -> None:
            changed = execute_many(connection, self._queries.finish_command, rows)
            _all_or_none(changed, len(rows), f"channel {channel}: finish: a command or its run is unknown")
            execute_many(connection, self._queries.insert_result, rows)

        if rows:
            await self._database.transact(work)

    async def unpublished(self, channel: str) -> Sequence[tuple[ResultEvent, Mapping[str, str]]]:
        """Final results whose publication was not recorded, oldest first, each with its headers."""

        def read(row: Row) -> tuple[ResultEvent, Mapping[str, str]]:
            event, headers = row
            return read_result(event), read_headers(headers)

        return await self._database.fetch(read, self._queries.select_unpublished, {"channel": channel})

    async def published(self, channel: str, ids: Sequence[str]) -> None:
        """These results have been stored by NATS. Harmless for an id that has none."""
        await self._change(self._queries.mark_published, _named(channel, ids=ids))

    async def senders(self, channel: str, wa_ids: Sequence[str]) -> Mapping[str, Sender]:
        """The commands behind WhatsApp ids, where they are ours and final."""

        def read(row: Row) -> tuple[str, Sender]:
            wa_id, body, headers = row
            return wa_id, read_sender(body, headers)

        return dict(await self._database.fetch(read, self._queries.select_senders, _named(channel, wa_ids=wa_ids)))

    async def _change(self, sql: str, parameters: Mapping[str, Any]) -> None:
        await self._database.transact(lambda connection: execute(connection, sql, parameters))

    def _known(self, connection: sqlite3.Connection, channel: str, offers: Sequence[Offer]) -> Mapping[str, Known]:
        named = _named(channel, ids=[offer.command.id for offer in offers])
        rows = fetch(connection, self._queries.select_known, named)
        return {key: Known(content, None if event is None else read_result(event)) for key, content, event in rows}


def _named(channel: str, **arrays: Sequence[str]) -> Mapping[str, Any]:
    return {"channel": channel} | {name: json.dumps(list(texts)) for name, texts in arrays.items()}


def _all_or_none(changed: int, asked: int, what: str) -> None:
    if changed != asked:
        raise ConflictError(f"{what} ({asked - changed} of {asked}); nothing was changed")
