"""What a run found, for people and for programs: counts, and for each violation what happened when."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console

from tests.storm.evidence import Evidence
from tests.storm.laws import Violation

_AROUND_S: Final = 15.0
"""Strikes are shown that far before and after what happened to a message."""
_TOLD: Final = 40
"""So many violations are told with their timelines; the others are only named."""
_LOG_LINES: Final = 8
_LONGEST_LINE: Final = 300

Moment = tuple[float, str]


class Broken(Struct, frozen=True, kw_only=True):
    """A violation: which law, of what, and what happened, in the order of time (seconds since the first strike)."""

    law: str
    id: str
    channel: str
    text: str
    timeline: Sequence[str]


class Report(Struct, kw_only=True):
    """``ok``: every law held, every strike was done, all came to rest, and SIGTERM ended the node with 0."""

    ok: bool
    seed: int
    kills: Mapping[str, int]
    skipped: Sequence[str]
    channels: int
    seconds: float
    exit_code: int
    counts: Mapping[str, int]
    broken: Sequence[Broken]

    def to_json(self) -> bytes:
        """For ``--json``."""
        return msgspec.json.format(msgspec.json.encode(self))

    def show(self, console: Console) -> None:
        """Print it."""
        for one in self.broken[:_TOLD]:
            console.print(f"BROKEN {one.law}: {one.channel} {one.id}: {one.text}", style="red", markup=False)
            for line in one.timeline:
                console.print(f"    {line}", markup=False)
        for place, count in Counter((one.law, one.channel) for one in self.broken[_TOLD:]).items():
            console.print(f"BROKEN {place[0]}: {place[1]}: {count} more", style="red", markup=False)
        kills = ", ".join(f"{count} × {what}" for what, count in sorted(self.kills.items()))
        console.print(f"seed {self.seed}: {self.channels} channels, {self.seconds:.0f} s; {kills}", markup=False)
        for name, count in self.counts.items():
            console.print(f"{count:8d}  {name}", markup=False)
        for strike in self.skipped:
            console.print(f"not done: {strike}", markup=False)
        console.print(f"exit code at SIGTERM: {self.exit_code}")
        console.print("every law held" if self.ok else f"NOT OK: {len(self.broken)} violations")


def broken(violations: Sequence[Violation], evidence: Evidence) -> list[Broken]:
    """With timelines for the first of them."""
    return [
        Broken(
            law=one.law,
            id=one.id,
            channel="/".join(one.key),
            text=one.text,
            timeline=timeline(one, evidence) if number < _TOLD else [],
        )
        for number, one in enumerate(violations)
    ]


def timeline(violation: Violation, evidence: Evidence) -> list[str]:
    """What is known of the message or command, and the strikes that its channel could feel around it."""
    zero = evidence.strikes[0].at if evidence.strikes else 0.0
    moments = _moments(violation.id, evidence)
    moments += [(at, f"{violation.other}: {text}") for at, text in _moments(violation.other, evidence)]
    if moments:
        first, last = min(moments)[0] - _AROUND_S, max(moments)[0] + _AROUND_S
        moments += [
            (struck.at, f"*** {struck.strike}, over after {struck.until - struck.at:.1f} s")
            for struck in evidence.strikes
            if first <= struck.at <= last and struck.strike.concerns(violation.key)
        ]
    logged = [line[:_LONGEST_LINE] for line in evidence.log if violation.id in line]
    return [f"{at - zero:8.2f}  {text}" for at, text in sorted(moments)] + logged[-_LOG_LINES:]


def _moments(name: str, evidence: Evidence) -> list[Moment]:
    found = list[Moment]()
    for command in evidence.commands:
        if command.id == name:
            found.append((command.begun, f"published to {command.chat}, {command.priority}"))
            if command.stored is not None:
                found.append((command.stored, f"acknowledged by JetStream after {command.tries} tries"))
    for arrival in evidence.arrivals:
        if arrival.text == name:
            found.append((arrival.at, f"arrived at {arrival.to} as {arrival.id}"))
    for letter in evidence.letters:
        if letter.id == name:
            found.append((letter.at, f"written by {letter.sender}: {letter.text}"))
            if letter.receipted is not None:
                found.append((letter.receipted, f"receipted, after {letter.retries} retries"))
    sent_as = set()
    for event in evidence.events:
        body = event.body
        if event.kind == "result" and body["id"] == name:
            sent_as.add(body["wa_id"])
            what = f"{body['status']} (run {body.get('run', 1)}, repeat {body.get('repeat', False)})"
            found.append((event.at, f"result {what}, {body.get('attempts')} attempts, at {body.get('sent_at')}"))
        elif event.kind == "message" and body["wa_id"] == name:
            found.append((event.at, f"message event {event.sequence}, backlog {body.get('backlog')}"))
        elif event.kind == "gap" and name in (lost["wa_id"] for lost in body.get("lost", ())):
            found.append((event.at, f"named in the gap report {event.sequence}"))
    found += [(one.at, f"{one.reason} at {one.to}") for one in evidence.unreadable if one.id in sent_as]
    return found
