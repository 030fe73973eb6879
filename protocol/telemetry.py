"""A command's way, told as it goes: for who follows single commands through several systems."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Step(StrEnum):
    """A part of the way. ``command`` is the whole of it, to the end of a run: the others are within it, or
    (``delivery``) follow from it."""

    COMMAND = "command"
    QUEUE = "queue"
    """From the queue until the ledger has it."""
    SEND = "send"
    """With a port, each time."""
    DELIVERY = "delivery"
    """From WhatsApp's acknowledgement to the recipient's phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A step of the run ``run`` of the command ``id``, from ``begin`` to ``end``. ``headers``: the command's, which say
    what it belongs to (``traceparent``); ``facts``: how it went, in words that name no person."""

    step: Step
    clinic: str
    channel: str
    id: str
    run: int
    begin: datetime
    end: datetime
    headers: Mapping[str, str]
    facts: Mapping[str, str | int] = field(default_factory=dict)


class Telemetry(Protocol):
    """Whoever is told. On the loop."""

    def went(self, stretch: Stretch) -> None:
        """This is over. Returns at once and raises nothing."""
