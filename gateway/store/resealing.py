"""All of a file sealed anew under another key, in one transaction; every lookup anew with it.

On the connection's thread, some rows at a time. Other clinics are not held up: Python's lock is free while SQLite works,
and for no more than ``SLICE`` rows is it not.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from gateway.store.rows import of_attempt, of_run, read_private
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

SLICE: Final = 64
"""Rows that are opened and sealed, at some 10 µs each, before others on the node get their turn."""


class Kind(NamedTuple):
    """Rows that are sealed alike. ``select`` gives those after a place, ``SLICE`` at most, the place first; ``reseal``
    makes of a row the parameters of ``update``."""

    select: str
    update: str
    reseal: Callable[[Seal, Seal, Row], Row]


def reseal(connection: SealedFile, new: Seal) -> None:
    """Inside the transaction that is open; when that is committed, ``connection.seal`` is to be ``new``.

    Raises:
        InvalidBodyError: a row is damaged.
        sqlite3.Error
    """
    old = connection.seal
    for kind in KINDS:
        for rows in _slices(connection, kind.select):
            connection.executemany(kind.update, [kind.reseal(old, new, row) for row in rows])
    connection.execute("UPDATE sealed_with SET key = ?", (new.key_id,))


def _slices(connection: SealedFile, select: str) -> Iterator[list[Row]]:
    """By the number of rows, which stay where they are."""
    after = -1
    while rows := connection.execute(select, (after, SLICE)).fetchall():
        yield rows
        after = rows[-1][0]
