"""Follows a command to the end of its run."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import typer

from config.cli.asking import Asking
from config.cli.client import NodeClient, NodeRefusedError
from config.cli.output import FAILED
from config.cli.progress import unmeasured
from protocol.errors import PlantaoError
from protocol.views import CommandState

LOOK_S: Final = 20.0
"""How long the node is asked to wait at a time."""
PAUSE_S: Final = 1.0
"""Between two looks of which the first was answered at once."""

_AGAIN: Final = frozenset({404, 503, 504})
"""It is not taken from the queue yet, or a part of the node is away for now."""
_UNDER_WAY: Final = frozenset({CommandState.SCHEDULED, CommandState.WAITING, CommandState.IN_FLIGHT})


class ResultUnknownError(PlantaoError):
    """The command is queued, and nobody can say yet what becomes of it."""

    def __init__(self, clinic: str, channel: str, id: str, why: str) -> None:
        look = f"plantao message show {clinic} {channel} {id}"
        super().__init__(f"queued as {id}, but its result is not known: {why}; to look again: {look}")


def await_result(asking: Asking, clinic: str, channel: str, id: str, timeout: float) -> None:
    """Wait for the result and print it; ends the process with 1 if the message was not sent.

    Raises:
        ResultUnknownError: there is none after ``timeout`` seconds, or Ctrl-C was pressed.
    """
    with unmeasured(f"Waiting for the result of {id} …", asking.out.as_json) as say:
        waits = partial("Waiting for the result of {}: {} …".format, id)
        try:
            found = follow(asking.node, (clinic, channel, id), timeout, lambda state: say(waits(state)))
        except KeyboardInterrupt:
            raise ResultUnknownError(clinic, channel, id, "it was not waited for") from None
    asking.out.say(outcome(found), found)
    if found["state"] != CommandState.SENT:
        raise typer.Exit(FAILED)


def follow(
    node: NodeClient,
    where: tuple[str, str, str],
    timeout: float,
    say: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """The command ``where`` (clinic, channel, id) once its run has ended; ``say`` hears how it is meanwhile.

    Raises:
        ResultUnknownError: it has not after ``timeout`` seconds, or the node has gone or refuses.
    """
    path = ("clinics", where[0], "channels", where[1], "messages", where[2])
    until, last = clock() + timeout, "it is still on the queue"
    while (left := until - clock()) > 0:
        begun, wait = clock(), min(left, LOOK_S)
        try:
            found: dict[str, Any] = node.get(*path, wait=f"{wait:.2f}")
            if found["state"] not in _UNDER_WAY:
                return found
            last = f"it is still {found['state']}"
            say(found["state"])
        except NodeRefusedError as error:
            if error.status not in _AGAIN:
                raise ResultUnknownError(*where, str(error)) from error
        except PlantaoError as error:
            raise ResultUnknownError(*where, str(error)) from error
        if clock() - begun < min(wait, PAUSE_S):
            sleep(min(PAUSE_S, max(0.0, until - clock())))
    raise ResultUnknownError(*where, f"{last} after {timeout:g} s")


def outcome(found: dict[str, Any]) -> str:
    """A sentence on how a command ended."""
    if found["state"] == CommandState.SENT:
        return f"Sent as {found['wa_id']}." if found.get("wa_id") else "Sent."
    error = found.get("error")
    why = f": {error['message']} ({error['code']})" if error else ""
    return f"Not sent, {found['state']}{why}."
