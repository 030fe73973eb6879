"""What an error of SQLite or of the disk means for a clinic, and how it is mended: the one table.

Result codes are SQLite's (sqlite.org/rescode.html); the low byte of an extended code is its primary one.
"""

import errno
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.store.schema import NewerSchemaError
from protocol.errors import InvalidInputError, StoreFullError, StoreUnavailableError


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the file and what mends it, as words that follow and end a sentence about the file.

    ``lasting``: the connection is of no more use; the next call opens the file anew, and so sees a mended one.
    ``limit``: nothing is wrong with the file; it is as large as the clinic's may be.
    """

    what: str
    mend: str
    lasting: bool
    limit: bool = False


LOCKED: Final = Fault(
    "is locked by another connection", "end the program that has it open, such as an sqlite3 shell", lasting=False
)
FULL: Final = Fault(
    "cannot grow: the disk, the quota or the file's size limit is full", "free some space", lasting=False
)
CORRUPT: Final = Fault(
    "is damaged", "stop the node and put a good copy of the clinic's directory in its place", lasting=True
)
FOREIGN: Final = Fault(
    "is not an SQLite database",
    "stop the node and put a good copy of the clinic's directory in its place",
    lasting=True,
)
READ_ONLY: Final = Fault(
    "cannot be written", "make the file, its directory and the file system writable for the node's user", lasting=True
)
CANNOT_OPEN: Final = Fault(
    "cannot be opened", "make the file and its directory accessible to the node's user", lasting=True
)
UNREADABLE: Final = Fault(
    "cannot be read or written", "look in the system log for errors of the disk, and at its limits", lasting=True
)
NO_MEMORY: Final = Fault("needs more memory than there is", "give the machine more memory", lasting=True)
NO_WAL: Final = Fault(
    "lies on a file system without shared memory, which write-ahead logging needs",
    "put the data directory on a local disk",
    lasting=True,
)


def limit_reached(limit: int) -> Fault:
    """The file is as large as a clinic's may be."""
    what = f"has reached the clinic's limit of {limit} bytes"
    return Fault(what, "raise the limit, or keep commands for a shorter time", lasting=False, limit=True)


def spool_full(limit: int) -> Fault:
    """As much waits for NATS as may."""
    what = f"holds as much of what came in as it may before NATS has it: the spool is full ({limit} bytes)"
    return Fault(what, "see why NATS takes nothing, or raise the limit", lasting=False)


UNEXPECTED: Final = Fault("failed in a way that is not foreseen", "see the cause in the log", lasting=True)

FAULTS: Final[dict[int, Fault]] = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_PROTOCOL: LOCKED,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_NOTADB: FOREIGN,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: CANNOT_OPEN,
    sqlite3.SQLITE_PERM: CANNOT_OPEN,
    sqlite3.SQLITE_AUTH: CANNOT_OPEN,
    sqlite3.SQLITE_IOERR: UNREADABLE,
    sqlite3.SQLITE_IOERR_SHMSIZE: FULL,
    sqlite3.SQLITE_NOMEM: NO_MEMORY,
}
"""By result code, extended before primary; what is not here is ``UNEXPECTED``."""

OS_FAULTS: Final[dict[int, Fault]] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: CANNOT_OPEN,
    errno.EPERM: CANNOT_OPEN,
    errno.ENOTDIR: CANNOT_OPEN,
    errno.EEXIST: CANNOT_OPEN,
    errno.EIO: UNREADABLE,
}
"""By errno, for what is done to files and directories before SQLite sees them."""


class FaultError(Exception):
    """A ``fault`` that was found without an error of SQLite or the disk."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


STORE_ERRORS: Final = (sqlite3.Error, OSError, InvalidInputError, NewerSchemaError, FaultError)
"""What work on a database can raise. ``InvalidInputError``: a row that cannot be decoded."""


def fault_of(error: BaseException) -> Fault:
    """What ``error`` means; total."""
    match error:
        case FaultError():
            return error.fault
        case NewerSchemaError():
            what = f"was written by a newer Plantão: {error}"
            return Fault(what, "install that version again, or put back a copy from before", lasting=True)
        case InvalidInputError():
            return CORRUPT
        case OSError():
            return OS_FAULTS.get(error.errno or 0, UNEXPECTED)
        case sqlite3.Error():
            code: int = getattr(error, "sqlite_errorcode", 0)
            return FAULTS.get(code) or FAULTS.get(code & 0xFF, UNEXPECTED)
        case _:
            return UNEXPECTED


def unavailable(fault: Fault, clinic: str, path: Path, cause: BaseException) -> StoreUnavailableError:
    """The error for the rest of the program; it names the clinic, the file and the mend."""
    name = "" if isinstance(cause, FaultError) else f" ({getattr(cause, 'sqlite_errorname', type(cause).__name__)})"
    kind = StoreFullError if fault.limit else StoreUnavailableError
    return kind(f"clinic {clinic}: {path} {fault.what}{name}: {fault.mend}")


def unavailable_directory(fault: Fault, path: Path, cause: OSError) -> StoreUnavailableError:
    """The same for the directory that holds all clinics."""
    return StoreUnavailableError(f"the data directory {path} {fault.what} ({cause.strerror}): {fault.mend}")
