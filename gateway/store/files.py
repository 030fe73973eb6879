"""Where the clinics' files are, and who may read them: their owner alone."""

import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from protocol.ids import check_name

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def clinics_directory(data: Path) -> Path:
    """The directory that holds one directory per clinic."""
    return data / "clinics"


def database_file(data: Path, clinic: str) -> Path:
    """The clinic's database.

    Raises:
        InvalidIdError: ``clinic`` is not an identifier, and so no safe part of a path.
    """
    return clinics_directory(data) / check_name("clinic", clinic) / "clinic.db"


def make_private_directory(path: Path) -> None:
    """Create ``path`` if need be, with the directories above it, and close it to all but its owner.

    Raises:
        OSError
    """
    path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o777 != DIRECTORY_MODE:
        path.chmod(DIRECTORY_MODE)


def check_writable(path: Path) -> None:
    """Create the private directory ``path`` if need be, and a file in it that is gone again.

    Raises:
        OSError
    """
    make_private_directory(path)
    with TemporaryFile(dir=path) as file:
        file.write(b"\0")


def make_private_file(path: Path) -> None:
    """Create ``path``, empty, if need be, and close it to all but its owner.

    SQLite gives its ``-wal`` and ``-shm`` files the permissions of the database, so this covers them as well. A file
    that exists is not opened: closing a descriptor of it would drop the locks that this process holds on it.

    Raises:
        OSError
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        if path.stat().st_mode & 0o777 != FILE_MODE:
            path.chmod(FILE_MODE)
