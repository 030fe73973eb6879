"""Files that only their owner may read, replaced as a whole or not at all, and on the disk when a call returns.

Everything here blocks, and raises OSError, which names a file. What is written first has a name of its own, its draft;
a kill may leave it.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gateway.store.files import DIRECTORY_MODE

_DRAFT: Final = ".draft"


def make_directory(path: Path) -> None:
    """Create ``path`` and what is missing above it, for us alone, each on the disk before the next."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=DIRECTORY_MODE)
        sync_directory(path.parent)


def write(path: Path, content: bytes, check: Callable[[bytes], None] | None = None) -> None:
    """Replace ``path`` by ``content``. ``check`` is given what can be read back of it; if that raises, nothing was
    changed."""
    with _draft(path, content) as draft:
        if check is not None:
            check(draft.read_bytes())
        draft.replace(path)
    sync_directory(path.parent)


def create(path: Path, content: bytes) -> bool:
    """Make ``path`` with ``content`` if there is none; whether it was made. Of two who try, one does."""
    with _draft(path, content) as draft:
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return False
    sync_directory(path.parent)
    return True


def remove_drafts(directory: Path, name: str = "*") -> None:
    """Delete what a kill has left of writing the file ``name``, or any in ``directory``; nobody may be writing it."""
    for left in directory.glob(f".{name}.*{_DRAFT}"):
        left.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Have on the disk which files are in ``path``, and how they are called."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _named(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _draft(path: Path, content: bytes) -> Iterator[Path]:
    """A file with ``content``, synced, mode 0600; gone afterwards unless it has another name by then."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_DRAFT)
    draft = Path(name)
    try:
        with _named(path), os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What goes wrong with an open file does not say with which."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # else the name would take the place of what it says
            error.filename = error.filename or str(path)
        raise
