"""A command's way, told to telemetry if there is one. On the loop; costs nothing where there is none."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from actors.channel.context import Context
from protocol.events import ResultEvent
from protocol.interfaces import SendOutcome
from protocol.ledger import Accepted, Receipt, Sender
from protocol.port import Failed
from protocol.telemetry import Step, Stretch, Telemetry


def queued(context: Context, commands: Iterable[Accepted]) -> None:
    """The ledger has taken these from the queue."""
    if (telemetry := context.telemetry) is not None:
        now = context.now().wall
        for accepted in commands:
            facts = {"priority": accepted.priority.value, "type": accepted.command.type}
            span = (accepted.queued_at, now)
            _tell(telemetry, context, Step.QUEUE, (accepted.command.id, accepted.run), span, accepted.headers, facts)


def ended(context: Context, result: ResultEvent, headers: Mapping[str, str]) -> None:
    """The ledger has the end of a run."""
    if (telemetry := context.telemetry) is not None:
        now = context.now().wall
        facts: dict[str, str | int] = {"status": result.status, "attempts": result.attempts}
        if result.error is not None:
            facts["error_code"] = result.error.code
        _tell(telemetry, context, Step.COMMAND, (result.id, result.run), (result.queued_at or now, now), headers, facts)


def answered(context: Context, accepted: Accepted, begin: datetime, outcome: SendOutcome) -> None:
    """A port has answered what it was given at ``begin``."""
    if (telemetry := context.telemetry) is not None:
        facts = {"error_code": outcome.answer.code} if isinstance(outcome.answer, Failed) else {}
        run, span = (accepted.command.id, accepted.run), (begin, context.now().wall)
        _tell(telemetry, context, Step.SEND, run, span, accepted.headers, facts)


def delivered(context: Context, receipts: Iterable[tuple[Receipt, Sender]]) -> None:
    """These are the first that say so."""
    if (telemetry := context.telemetry) is not None:
        for receipt, sender in receipts:
            if sender.sent_at is not None:
                span = (sender.sent_at, receipt.at)
                _tell(telemetry, context, Step.DELIVERY, (sender.id, sender.run), span, sender.headers, {})


def _tell(
    telemetry: Telemetry,
    context: Context,
    step: Step,
    run: tuple[str, int],
    span: tuple[datetime, datetime],
    headers: Mapping[str, str],
    facts: Mapping[str, str | int],
) -> None:
    telemetry.went(
        Stretch(
            step=step,
            clinic=context.clinic,
            channel=context.channel,
            id=run[0],
            run=run[1],
            begin=span[0],
            end=span[1],
            headers=headers,
            facts=facts,
        )
    )
