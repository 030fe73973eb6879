"""Follows a job to its end, and fetches what it made."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from config.cli.asking import Asking
from config.cli.client import NodeAwayError, NodeClient, NodeRefusedError
from config.cli.output import clean
from config.cli.progress import bar, of_bytes
from protocol.errors import AlreadyExistsError, InvalidInputError, PlantaoError
from protocol.jobs import JobState

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

LOOK_S: Final = 0.5
"""Before the first look; each later one waits ``SLOWER`` times as long, ``LONGEST_LOOK_S`` at most, since a key may
only ask so often in an hour."""
SLOWER: Final = 1.2
LONGEST_LOOK_S: Final = 10.0

_AGAIN: Final = frozenset({429, 503, 504})
"""It asked too often, or a part of the node is away for now."""

Show = Callable[[Mapping[str, Any]], None]


class JobFailedError(PlantaoError):
    """The job ended without having done what it was to do; the text is the job's own."""


class JobLostError(PlantaoError):
    """The node went away while it was at the job, or does not say any more what became of it; or nobody waited."""

    def __init__(self, id: str, why: str) -> None:
        super().__init__(f"what became of job {id} is not known: {why}; to look again: plantao job show {id}")


def follow(asking: Asking, view: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """The job ``view`` once it is done, shown on stderr meanwhile.

    Raises:
        JobFailedError: it failed.
        JobLostError: the node has gone, or was started again and knows nothing of it; or Ctrl-C was pressed.
    """
    try:
        with _shown(view, asking.out.as_json) as show:
            found = _followed(asking.node, view, show, sleep)
    except KeyboardInterrupt:
        raise JobLostError(view["id"], "it goes on, and was not waited for") from None
    if found["state"] != JobState.DONE:
        raise JobFailedError(f"{found['kind']} failed: {found['error']}")
    return found


def fetch(asking: Asking, job_id: str, path: Path, *, replace: bool = False) -> int:
    """Write what the job made to ``path``, which nobody else may read, as a whole or not at all, and have the node
    delete its own; how many bytes it has.

    Raises:
        AlreadyExistsError: ``path`` is there, and not to be replaced.
        InvalidInputError: it cannot be written.
        NodeAwayError, NodeRefusedError: it cannot be had.
    """
    if not replace and path.exists():
        raise AlreadyExistsError(str(path))
    try:
        descriptor, name = mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.", suffix=".draft")
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                count = _downloaded(asking, job_id, partial(_write, file, path), path)
                file.flush()
                os.fsync(descriptor)
            _place(draft, path, replace)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    asking.node.delete("jobs", job_id, "file")
    return count


def _downloaded(asking: Asking, job_id: str, write: Callable[[bytes], None], path: Path) -> int:
    download = asking.node.download("jobs", job_id, "file")
    with download as (size, pieces), of_bytes(f"to {path.name}", size, asking.out.as_json) as advance:
        count = 0
        for piece in pieces:
            write(piece)
            advance(len(piece))
            count += len(piece)
        return count


def _write(file: BinaryIO, path: Path, piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:  # else it would read as one of the connection's
        raise _unwritable(path, error) from error


def _place(draft: Path, path: Path, replace: bool) -> None:
    if replace:
        draft.replace(path)
    else:
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            raise AlreadyExistsError(str(path)) from None
    directory = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _unwritable(path: Path, error: OSError) -> InvalidInputError:
    return InvalidInputError("FILE", f"a path that can be written to; {path}: {error.strerror or error}")


def _followed(node: NodeClient, view: Mapping[str, Any], show: Show, sleep: Callable[[float], None]) -> dict[str, Any]:
    found, pause = dict(view), LOOK_S
    while found["state"] == JobState.RUNNING:
        sleep(pause)
        pause = min(LONGEST_LOOK_S, pause * SLOWER)
        try:
            found = node.get("jobs", found["id"])
        except NodeAwayError as error:
            raise JobLostError(found["id"], str(error)) from error
        except NodeRefusedError as error:
            if error.status not in _AGAIN:
                raise JobLostError(found["id"], str(error)) from error
        show(found)
    return found


@contextmanager
def _shown(view: Mapping[str, Any], as_json: bool) -> Iterator[Show]:
    """How far the job is."""

    def columns() -> "tuple[ProgressColumn, ...]":
        from rich.progress import TextColumn, TimeElapsedColumn

        return TextColumn("{task.fields[count]}"), TimeElapsedColumn()

    with bar(columns, as_json) as progress:
        if progress is None:
            yield lambda _: None
            return
        task = progress.add_task(clean(view["kind"]), total=None, count="")

        def show(found: Mapping[str, Any]) -> None:
            done, total = found["done"], found["total"]
            count = "" if total is None else f"{done}/{total}"
            what = clean(f"{found['kind']}: {found['step']}" if found["step"] else found["kind"])
            progress.update(task, description=what, completed=done, total=total, count=count)

        yield show
