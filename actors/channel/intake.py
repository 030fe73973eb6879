"""From a fetched body to a command that the ledger owns, or to a refusal. Runs on the loop."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, assert_never

import msgspec

from actors.channel import way
from actors.channel.context import Context
from actors.channel.fitting import publish_fitting
from protocol.bus import Fetched, Later, Publication
from protocol.codes import ErrorCode
from protocol.commands import SendCommand, parse, salvage_id, unsupported
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.events import DeadLetter, ErrorBody, ResultEvent, message_id
from protocol.ledger import Accepted, Conflicted, Offer, Repeated, Scheduled, Verdict
from protocol.subjects import EventKind

SETTLE_TIMEOUT_S: Final = 30.0
"""For publishing what was refused and acknowledging all; what is late comes again, and the ledger knows it."""


_SLICE: Final = 8 << 10
"""Bytes of bodies to read, in half a millisecond at worst, before others on the loop get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A body that is not taken: the result is published if an id could be read, a dead letter in any case."""

    id: str | None
    code: ErrorCode
    message: str
    body: bytes
    headers: Mapping[str, str]
    queued_at: datetime
    command: SendCommand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the ledger took. ``scheduled``: what is not to be sent yet, and has to be set on the bus. ``error``: not all
    that follows from it could be done (refusals published, the queue told), so the queue will give it again."""

    accepted: Sequence[Accepted]
    scheduled: Sequence[Later]
    refused: int
    error: Exception | None = None


def read(fetched: Fetched) -> Offer | Refusal:
    """One body, judged without asking anybody."""
    try:
        command = parse(fetched.body)
    except InvalidInputError as error:
        return _refuse(fetched, salvage_id(fetched.body), ErrorCode.INVALID_COMMAND, str(error))
    lacking = unsupported(command)
    if lacking is not None:
        return _refuse(fetched, command.id, ErrorCode.UNSUPPORTED, f"not supported: {lacking}", command)
    return Offer(
        command=command,
        body=fetched.body,
        priority=fetched.priority,
        queued_at=fetched.queued_at,
        headers=fetched.headers,
    )


def always() -> bool:
    """Nobody else takes commands in."""
    return True


async def take_in(context: Context, fetched: Sequence[Fetched], ours: Callable[[], bool] = always) -> Intake:
    """Commit what is valid to the ledger, publish what is refused or known already, then tell the queue that all is
    taken. What is for later is not set here: the ledger owns it, and one that cannot be set must not keep the others in
    the queue.

    What the ledger has accepted is always returned, whatever becomes of the rest: the queue's repetition of it is only
    known to the ledger, and not given out again.

    ``ours``: whether the channel still takes commands in. If not, its successor may have read already what the ledger
    owns, and would never hear of these: they are given back.

    Raises:
        StoreUnavailableError: nothing was accepted or settled; the queue gives it again.
    """
    channel = context.channel
    read_all = await _read_all(fetched)
    if not ours():
        await context.bus.settle(fetched, taken=False)
        return Intake(accepted=(), scheduled=(), refused=0)
    offers = [item for item in read_all if isinstance(item, Offer)]
    refusals = [item for item in read_all if isinstance(item, Refusal)]
    verdicts = await context.ledger.accept(channel, offers, context.now().wall) if offers else []
    judged = _Judged()
    for offer, verdict in zip(offers, verdicts, strict=True):
        judged.take(channel, offer, verdict)
    refusals += judged.refusals
    letters = [letter for refusal in refusals for letter in _publications(context.clinic, channel, refusal)]
    error = await _settle(context, fetched, judged.repeats + letters)
    _count(context, judged, refusals if error is None else ())
    way.queued(context, judged.taken)
    return Intake(accepted=judged.accepted, scheduled=judged.scheduled, refused=len(refusals), error=error)


def _count(context: Context, judged: "_Judged", told: Sequence[Refusal]) -> None:
    """``told``: refusals that will not come again; each is a dead letter, and a result if it has an id."""
    context.count.accepted += len(judged.taken)
    for refusal in told:
        context.count.fails(refusal.code.value)
        context.count.ended["failed"] += refusal.id is not None


@dataclass(slots=True)
class _Judged:
    """What the ledger said of all offers, and what follows from it. ``taken``: those that are new, ``accepted`` or
    ``scheduled``; ``repeats``: results of those that have one."""

    taken: list[Accepted] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    scheduled: list[Later] = field(default_factory=list)
    repeats: list[Publication] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def take(self, channel: str, offer: Offer, verdict: Verdict) -> None:
        match verdict:
            case Accepted():
                self.taken.append(verdict)
                self.accepted.append(verdict)
            case Scheduled(accepted=accepted):
                self.taken.append(accepted)
                self.scheduled.append(later_of(verdict))
            case Repeated(result=result):
                if result is not None:
                    self.repeats.append(_repeat(channel, offer, result))
            case Conflicted():
                self.refusals.append(_conflict(offer))
            case _:
                assert_never(verdict)


async def _settle(
    context: Context, fetched: Sequence[Fetched], publications: Sequence[Publication]
) -> Exception | None:
    """Publish, then tell the queue that all is taken; what kept it from that."""
    try:
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            if publications:
                await publish_fitting(context, publications)
            await context.bus.settle(fetched, taken=True)
    except (BusUnavailableError, TimeoutError) as error:
        return error
    return None


async def _read_all(fetched: Sequence[Fetched]) -> list[Offer | Refusal]:
    """One body after the other; large ones hold up no other clinic on the loop."""
    read_all: list[Offer | Refusal] = []
    unbroken = 0
    for item in fetched:
        read_all.append(read(item))
        unbroken += len(item.body)
        if unbroken >= _SLICE:
            unbroken = 0
            await asyncio.sleep(0)
    return read_all


def later_of(scheduled: Scheduled) -> Later:
    """When a command is to be due."""
    accepted = scheduled.accepted
    assert accepted.command.not_before is not None
    return Later(id=accepted.command.id, run=accepted.run, at=accepted.command.not_before)


def _repeat(channel: str, offer: Offer, result: ResultEvent) -> Publication:
    return Publication(
        channel=channel,
        kind=EventKind.RESULT,
        event=msgspec.structs.replace(result, repeat=True),
        message_id=message_id(channel, "repeat", result.id, offer.queued_at.isoformat()),
        headers=offer.headers,
        since=offer.queued_at,
    )


def _conflict(offer: Offer) -> Refusal:
    return Refusal(
        id=offer.command.id,
        code=ErrorCode.ID_CONFLICT,
        message="id: expected one that was not used before with another body",
        body=offer.body,
        headers=offer.headers,
        queued_at=offer.queued_at,
        command=offer.command,
    )


def _publications(clinic: str, channel: str, refusal: Refusal) -> list[Publication]:
    """A dead letter, and a result if there is an id to give one for. The ledger knows nothing of them, so that only the
    stream can tell whether they were published when the queue gave them before."""
    letter = DeadLetter(
        clinic=clinic,
        channel=channel,
        id=refusal.id,
        error=ErrorBody.of(refusal.code, refusal.message),
        attempts=0,
        at=refusal.queued_at,
        body=refusal.body,
    )
    publications = [_publication(channel, refusal, None, letter, "dead")]
    if refusal.id is not None:
        result = _result(clinic, channel, refusal.id, refusal)
        publications.append(_publication(channel, refusal, EventKind.RESULT, result, "refused"))
    return publications


def _result(clinic: str, channel: str, id: str, refusal: Refusal) -> ResultEvent:
    command = refusal.command
    return ResultEvent(
        clinic=clinic,
        channel=channel,
        id=id,
        status="failed",
        to=command.to if command else None,
        error=ErrorBody.of(refusal.code, refusal.message),
        queued_at=refusal.queued_at,
        meta=command.meta if command else None,
    )


def _publication(
    channel: str, refusal: Refusal, kind: EventKind | None, event: DeadLetter | ResultEvent, what: str
) -> Publication:
    parts = (refusal.id or "", hashlib.sha256(refusal.body).hexdigest(), refusal.queued_at.isoformat())
    return Publication(
        channel=channel,
        kind=kind,
        event=event,
        message_id=message_id(channel, what, *parts),
        headers=refusal.headers,
        since=refusal.queued_at,
    )


def _refuse(
    fetched: Fetched, id: str | None, code: ErrorCode, message: str, command: SendCommand | None = None
) -> Refusal:
    return Refusal(
        id=id,
        code=code,
        message=message,
        body=fetched.body,
        headers=fetched.headers,
        queued_at=fetched.queued_at,
        command=command,
    )
