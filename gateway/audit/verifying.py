"""Whether all of the audit is there as it was written: of a running node, or of a data directory without one. Blocks.

Nothing is changed: the file is opened to read, and the head is read first, so that it is never ahead of what is read
afterwards.
"""

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from gateway.audit.chain import FIELDS, BrokenError, Head, Walk
from gateway.audit.file import audit_file
from gateway.audit.head import ForgedError, head_file, read_head
from protocol.audit import Verification
from protocol.errors import InvalidInputError, StoreUnavailableError

_ALL: Final = f"SELECT {', '.join(FIELDS)}, seal FROM entries ORDER BY seq"  # noqa: S608 - columns of ours
_AT_ONCE: Final = 128
"""Entries, at some 5 µs each, before other threads get their turn."""
_PAUSE_S: Final = 0.001
SINCE_PATTERN: Final = r"^([1-9][0-9]{0,17}):([0-9a-f]{64})$(?!\n)"
_SINCE: Final = re.compile(SINCE_PATTERN)


def read_since(text: str | None, field: str) -> tuple[int, str] | None:
    """``SEQ:HASH`` as an entry that must be there. Raises InvalidInputError, which names ``field``."""
    if text is None:
        return None
    found = _SINCE.match(text)
    if found is None:
        raise InvalidInputError(field, "SEQ:HASH as an earlier verification has said them")
    return int(found[1]), found[2]


def verify(data: Path, key: bytes, since: tuple[int, str] | None = None, known: Sequence[Head] = ()) -> Verification:
    """Look at all entries in the data directory ``data``. ``since``: number and hash of one that must be there;
    ``known``: ends that the running node knows of.

    Raises:
        StoreUnavailableError: a file is there and cannot be read.
    """
    ends = [*known, *([] if since is None else [Head(since[0], bytes.fromhex(since[1]))])]
    path = head_file(data)
    head, trouble = _head(path, key)
    walk = Walk(key, ends if head is None else [*ends, head])
    try:
        _walk(walk, audit_file(data))
        if head is None and walk.at.seq > 0:
            raise BrokenError(None, trouble or f"{path}, which says where the audit ends, is missing")
    except BrokenError as broken:
        return _said(walk, broken)
    return _said(walk, None)


def _said(walk: Walk, broken: BrokenError | None) -> Verification:
    return Verification(
        intact=broken is None,
        last=walk.at.seq,
        hash=walk.at.seal.hex(),
        bad=None if broken is None else broken.seq,
        why=None if broken is None else broken.why,
    )


def _head(path: Path, key: bytes) -> tuple[Head | None, str | None]:
    """What the file says, or what is wrong with it. Raises StoreUnavailableError."""
    try:
        return read_head(path, key), None
    except ForgedError:
        return None, f"{path} is damaged, or was not written by this node"
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error.strerror or error}") from error


def _walk(walk: Walk, path: Path) -> None:
    if path.exists():
        try:
            with closing(_opened(path)) as connection:
                for count, (*fields, seal) in enumerate(_rows(connection)):
                    if count % _AT_ONCE == _AT_ONCE - 1:
                        time.sleep(_PAUSE_S)
                    walk.step(tuple(fields), seal)
        except sqlite3.OperationalError as error:
            raise StoreUnavailableError(f"{path} cannot be read: {error}") from error
        except sqlite3.DatabaseError as error:
            raise BrokenError(walk.at.seq + 1, f"not readable: {path} is damaged ({error})") from error
    walk.end()


def _opened(path: Path) -> sqlite3.Connection:
    # Without a log of writes nobody has it open; else SQLite would make files that it leaves.
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True, isolation_level=None)
    # What was made unreadable is to be found by its seal.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone() is not None:
        yield from connection.execute(_ALL)
