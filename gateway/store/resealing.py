"""All of a file sealed anew under another key, in one transaction, with every lookup.

On the connection's thread, some rows at a time, with a rest after each: the thread lets go of Python's lock whenever
SQLite works, but for so short a time that others, the loop first of all, would get it only every 5 ms.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from gateway.store.queries import Queries
from gateway.store.rows import agreeing, of_attempt, of_run, pack, read_agreed, read_private
from gateway.store.sealing import (
    ATTEMPT,
    BODY,
    CLAIM,
    COMMAND,
    CONSENT,
    FAILURE,
    ID,
    JID,
    PAIRED,
    PERSON,
    RESULT,
    SPOOLED,
    Seal,
    SealedFile,
)

Row = tuple[Any, ...]

SLICE: Final = 32
"""Rows that are opened and sealed, at some 10 µs each, before others on the node get their turn."""
REST_S: Final = 0.0001
_FIRST: Final = -1
"""Before every place: numbers count from 0, and words come after numbers."""


def reseal(connection: SealedFile, new: Seal, queries: Queries) -> None:
    """Inside the transaction that is open; once that is committed, the seal of ``connection`` has to be ``new``.

    Raises:
        InvalidBodyError: a row is damaged.
        sqlite3.Error
    """
    anew = _Anew(connection.seal, new)
    for select, update, resealed in (
        (queries.select_commands_sealed, queries.reseal_command, anew.command),
        (queries.select_bodies_sealed, queries.reseal_body, anew.body),
        (queries.select_failures_sealed, queries.reseal_failure, anew.failure),
        (queries.select_claims_sealed, queries.reseal_claim, anew.claim),
        (queries.select_spool_sealed, queries.reseal_spooled, anew.spooled),
        (queries.select_channels_sealed, queries.reseal_channel, anew.channel),
    ):
        _each(connection, select, update, resealed)
    _each(connection, queries.select_results_sealed, queries.reseal_result, anew.result, places=2)
    _reseal_people(connection, queries, anew)
    _reseal_consents(connection, queries, anew)
    connection.execute(queries.change_key, (new.key_id,))


def _reseal_people(connection: SealedFile, queries: Queries, anew: "_Anew") -> None:
    connection.execute(queries.put_people_aside)
    connection.execute(queries.delete_people)
    _each(connection, queries.select_people_sealed, queries.put_person_back, anew.person)
    connection.execute(queries.drop_people_aside)


def _reseal_consents(connection: SealedFile, queries: Queries, anew: "_Anew") -> None:
    connection.execute(queries.delete_consenting)
    for rows in _slices(connection, queries.select_consents_sealed, 1):
        for seq, sealed in rows:
            agreed = read_agreed(anew.old, seq, sealed)
            connection.execute(queries.reseal_consent, (seq, anew.new.seal(CONSENT, seq, pack(agreed))))
            connection.executemany(queries.insert_consenting, agreeing(anew.new, seq, agreed))


def _each(connection: SealedFile, select: str, update: str, resealed: Callable[[Row], Row], *, places: int = 1) -> None:
    for rows in _slices(connection, select, places):
        connection.executemany(update, [resealed(row) for row in rows])


def _slices(connection: SealedFile, select: str, places: int) -> Iterator[list[Row]]:
    """Rows in the order of their places, which are the first ``places`` columns."""
    after: Row = (_FIRST,) * places
    while rows := connection.execute(select, (*after, SLICE)).fetchall():
        yield rows
        time.sleep(REST_S)
        after = rows[-1][:places]


class _Anew:
    """The parameters of each update, of a row of its select."""

    def __init__(self, old: Seal, new: Seal) -> None:
        self.old, self.new = old, new

    def _moved(self, kind: str, row: str | int, sealed: bytes) -> bytes:
        return self.new.seal(kind, row, self.old.open(kind, row, sealed))

    def command(self, row: Row) -> Row:
        seq, token, secret, sealed = row
        private, new = read_private(self.old, seq, sealed), self.new
        known_by = new.token(ID, private.id)
        if secret is not None:
            secret = new.seal(ATTEMPT, known_by, self.old.open(ATTEMPT, token, secret))
        return seq, known_by, new.token(JID, private.chat), secret, new.seal(COMMAND, seq, pack(private))

    def body(self, row: Row) -> Row:
        seq, body = row
        return seq, self._moved(BODY, seq, body)

    def result(self, row: Row) -> Row:
        seq, run, event = row
        return seq, run, self._moved(RESULT, of_run(seq, run), event)

    def failure(self, row: Row) -> Row:
        seq, command, run, number, message = row
        return seq, self._moved(FAILURE, of_attempt(command, run, number), message)

    def claim(self, row: Row) -> Row:
        seq, sealed = row
        key = self.old.open(CLAIM, seq, sealed)
        return seq, self.new.token(CLAIM, key.decode()), self.new.seal(CLAIM, seq, key)

    def spooled(self, row: Row) -> Row:
        seq, what = row
        return seq, self._moved(SPOOLED, seq, what)

    def channel(self, row: Row) -> Row:
        channel, paired = row
        return channel, self._moved(PAIRED, channel, paired)

    def person(self, row: Row) -> Row:
        place, token, sealed = row
        jid = self.old.open(PERSON, token, sealed)
        new = self.new.token(JID, jid.decode())
        return place, new, self.new.seal(PERSON, new, jid)
