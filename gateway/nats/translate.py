"""The client library's errors as Plantão's; the one place where that is decided."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import nats.errors as core
import nats.js.errors as jetstream

from protocol.errors import BusUnavailableError, InvalidInputError, PlantaoError

TABLE: Final[dict[type[BaseException], type[PlantaoError]]] = {
    # What the caller asked for can never work.
    core.BadSubjectError: InvalidInputError,
    core.BadHeaderError: InvalidInputError,
    core.MaxPayloadError: InvalidInputError,
    jetstream.InvalidKeyError: InvalidInputError,
    jetstream.InvalidBucketNameError: InvalidInputError,
    jetstream.InvalidObjectNameError: InvalidInputError,
    # Everything else is worth another try: away, slow, full, or being put right.
    core.Error: BusUnavailableError,
    OSError: BusUnavailableError,
    asyncio.TimeoutError: BusUnavailableError,
}
"""By the nearest class in the error's line of descent; ``nats.errors.Error`` is the root of all the library's own."""

NO_ROOM: Final = frozenset({10002, 10023, 10047, 10077})
"""The server's error codes for: the account, the server or the stream has no room for more."""


def translated(error: BaseException, doing: str) -> PlantaoError | None:
    """What ``error``, met while ``doing`` something (words for an operator), is called here; None if it is none of the
    library's."""
    kind = next((TABLE[ancestor] for ancestor in type(error).__mro__ if ancestor in TABLE), None)
    if kind is None:
        return None
    said = str(error) or type(error).__name__
    if kind is InvalidInputError:
        return InvalidInputError(doing, f"something NATS accepts ({said})")
    return kind(f"{doing}: {said}")


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Raise the client library's errors inside as PlantaoErrors; Plantão's own pass."""
    try:
        yield
    except PlantaoError:
        raise
    except Exception as error:
        other = translated(error, doing)
        if other is None:
            raise
        try:
            raise other from error
        finally:
            del other  # else it keeps itself, and what its frames hold
