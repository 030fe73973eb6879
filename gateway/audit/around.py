"""Whatever changes something, with its entries before and after."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from protocol.audit import Audit
from protocol.errors import StoreUnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")
_REFUSED, _FAILED = 400, 500
_NOT_KNOWN: Final = {"why": "cut_off"}


async def audited(
    audit: Audit,
    subject: tuple[str, str, str | None, str | None],
    work: Callable[[], Awaitable[T]],
    status_of: Callable[[T | Exception], int],
) -> T:
    """Do ``work``, which ``subject`` (who, action, clinic, channel) asks for. ``status_of``: an HTTP status for what it
    returns or raises.

    Raises:
        StoreUnavailableError: it cannot be in the audit, and is not begun.
    """
    about = await audit.asked(*subject)
    try:
        outcome = await work()
    except asyncio.CancelledError:
        await _end(audit, about, "failed", _NOT_KNOWN)
        raise
    except Exception as error:
        await _end(audit, about, *_told(status_of(error)))
        raise
    await _end(audit, about, *_told(status_of(outcome)))
    return outcome


def _told(status: int) -> tuple[str, dict[str, str]]:
    outcome = "done" if status < _REFUSED else "refused" if status < _FAILED else "failed"
    return outcome, {"status": str(status)}


async def _end(audit: Audit, about: int, outcome: str, detail: dict[str, str]) -> None:
    """It has been done, or not, whether or not that can be written."""
    try:
        await audit.ended(about, outcome, detail)
    except StoreUnavailableError as error:
        log.error("how entry %d of the audit ended is not in it: %s", about, error)
