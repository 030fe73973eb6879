import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store import faults
from gateway.store.faults import FAULTS, OS_FAULTS, Fault, FaultError, fault_of, unavailable
from gateway.store.schema import NewerSchemaError
from protocol.errors import InvalidBodyError, StoreFullError, StoreUnavailableError

FILE = Path("/data/clinics/acme/clinic.db")

BY_CODE = {
    sqlite3.SQLITE_BUSY: faults.LOCKED,
    sqlite3.SQLITE_BUSY_SNAPSHOT: faults.LOCKED,
    sqlite3.SQLITE_BUSY_RECOVERY: faults.LOCKED,
    sqlite3.SQLITE_LOCKED: faults.LOCKED,
    sqlite3.SQLITE_PROTOCOL: faults.LOCKED,
    sqlite3.SQLITE_FULL: faults.FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: faults.FULL,
    sqlite3.SQLITE_CORRUPT: faults.CORRUPT,
    sqlite3.SQLITE_CORRUPT_INDEX: faults.CORRUPT,
    sqlite3.SQLITE_NOTADB: faults.FOREIGN,
    sqlite3.SQLITE_READONLY: faults.READ_ONLY,
    sqlite3.SQLITE_READONLY_DBMOVED: faults.READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: faults.CANNOT_OPEN,
    sqlite3.SQLITE_CANTOPEN_ISDIR: faults.CANNOT_OPEN,
    sqlite3.SQLITE_PERM: faults.CANNOT_OPEN,
    sqlite3.SQLITE_AUTH: faults.CANNOT_OPEN,
    sqlite3.SQLITE_IOERR: faults.UNREADABLE,
    sqlite3.SQLITE_IOERR_WRITE: faults.UNREADABLE,
    sqlite3.SQLITE_IOERR_FSYNC: faults.UNREADABLE,
    sqlite3.SQLITE_NOMEM: faults.NO_MEMORY,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: faults.UNEXPECTED,
    sqlite3.SQLITE_ERROR: faults.UNEXPECTED,
    sqlite3.SQLITE_MISUSE: faults.UNEXPECTED,
}


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("said by the driver")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(("code", "fault"), BY_CODE.items())
def test_a_result_code_of_sqlite_means(code: int, fault: Fault) -> None:
    assert fault_of(sqlite_error(code)) is fault


def test_every_code_of_the_table_is_tried_above() -> None:
    assert FAULTS.keys() <= BY_CODE.keys()


def test_an_error_that_the_module_itself_raised_is_unexpected() -> None:
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.Error) as caught:
        connection.execute("SELECT ?", ())
    assert fault_of(caught.value) is faults.UNEXPECTED


@pytest.mark.parametrize(
    ("code", "fault"), [*OS_FAULTS.items(), (errno.EINTR, faults.UNEXPECTED), (0, faults.UNEXPECTED)]
)
def test_an_error_of_the_system_means(code: int, fault: Fault) -> None:
    assert fault_of(OSError(code, "said by the system")) is fault


def test_what_is_not_an_error_of_sqlite_or_the_system_means() -> None:
    assert fault_of(InvalidBodyError("body", "a map")) is faults.CORRUPT
    assert fault_of(FaultError(faults.NO_WAL)) is faults.NO_WAL
    assert "newer Plantão" in fault_of(NewerSchemaError(9, 1)).what
    assert fault_of(ZeroDivisionError()) is faults.UNEXPECTED


@pytest.mark.parametrize("fault", {*FAULTS.values(), *OS_FAULTS.values(), faults.NO_WAL, faults.UNEXPECTED})
def test_every_message_names_clinic_file_cause_and_mend(fault: Fault) -> None:
    text = str(unavailable(fault, "acme", FILE, OSError(5, "x")))
    assert text == f"clinic acme: {FILE} {fault.what} (OSError): {fault.mend}"


def test_only_the_clinics_own_limit_is_said_to_be_one() -> None:
    assert type(unavailable(faults.limit_reached(7), "acme", FILE, OSError(5, "x"))) is StoreFullError
    for fault in (faults.FULL, faults.spool_full(7)):
        assert type(unavailable(fault, "acme", FILE, OSError(5, "x"))) is StoreUnavailableError


@pytest.mark.parametrize("fault", [faults.LOCKED, faults.FULL])
def test_what_passes_by_itself_keeps_the_connection(fault: Fault) -> None:
    assert not fault.lasting
    assert all(other.lasting for other in {*FAULTS.values()} - {faults.LOCKED, faults.FULL})


def test_real_errors_of_sqlite_mean_what_the_table_says(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.Error) as full:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        assert fault_of(full.value) is faults.FULL
        connection.execute("PRAGMA query_only = ON")
        with pytest.raises(sqlite3.Error) as read_only:
            connection.execute("INSERT INTO t VALUES (1)")
        assert fault_of(read_only.value) is faults.READ_ONLY
    with pytest.raises(sqlite3.Error) as absent:
        sqlite3.connect(tmp_path / "none" / "a.db")
    assert fault_of(absent.value) is faults.CANNOT_OPEN
