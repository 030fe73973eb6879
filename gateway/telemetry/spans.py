"""Which span a stretch of a command's way is: pure.

The ids of a command's own span follow from what it is called, so that its other spans, which may come before it, after
it and from another life of the node, find it. It belongs to the trace that the command's ``traceparent`` names, as a
child of the span there; a command without one is a trace of its own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from protocol.events import stable_hash
from protocol.subjects import HEADER_CORRELATION, HEADER_TRACE
from protocol.telemetry import Step, Stretch

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_SAMPLED: Final = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanName:
    """Where a span belongs. ``span``: its own id, None: any will do; ``parent`` None: it begins the trace. ``sampled``:
    whoever began the trace wants to see it."""

    trace: int
    span: int | None
    parent: int | None
    sampled: bool = True


def name_of(stretch: Stretch) -> SpanName:
    """The place of ``stretch``."""
    own = int(stable_hash((stretch.clinic, stretch.channel, stretch.id, str(stretch.run))), 16)
    trace, parent, sampled = own, None, True
    given = _TRACEPARENT.match(stretch.headers.get(HEADER_TRACE, ""))
    if given is not None and int(given[1], 16) and int(given[2], 16):
        trace, parent, sampled = int(given[1], 16), int(given[2], 16), bool(int(given[3], 16) & _SAMPLED)
    command = own & ((1 << 64) - 1) or 1
    if stretch.step is Step.COMMAND:
        return SpanName(trace=trace or 1, span=command, parent=parent, sampled=sampled)
    return SpanName(trace=trace or 1, span=None, parent=command, sampled=sampled)


def attributes_of(stretch: Stretch, masked: Callable[[str], str]) -> dict[str, str | int]:
    """What the span says; ``masked`` takes numbers out of what senders chose."""
    facts = {f"plantao.{name}": value for name, value in stretch.facts.items()}
    correlation = stretch.headers.get(HEADER_CORRELATION)
    named = {} if correlation is None else {"plantao.correlation_id": masked(correlation)}
    return {
        "plantao.clinic": stretch.clinic,
        "plantao.channel": stretch.channel,
        "plantao.command.id": masked(stretch.id),
        "plantao.command.run": stretch.run,
        **named,
        **facts,
    }
