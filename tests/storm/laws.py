"""What must hold in the end, whatever was killed: pure functions of the evidence, one for each law.

A law returns what breaks it; ``judge`` puts them together with the counts that are printed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.emulator.api import Letter
from tests.storm.evidence import Command, Evidence
from tests.storm.plan import Key, What

BEFORE_S: Final = 10.0
AFTER_S: Final = 60.0
"""A message that is named as lost was receipted so long before a kill of its port at most (it waited to be written
down), or so long after it (it came again, and was taken for known, once the channel was connected again)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """``law`` in a word or two; ``id`` of the command or the WhatsApp message; ``text`` says what is wrong; ``other``:
    the id of the message that it should have been before."""

    law: str
    id: str
    key: Key
    text: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``counts`` are for people; nothing else is wrong than the ``violations``."""

    counts: Mapping[str, int]
    violations: list[Violation]


def one_result(evidence: Evidence) -> list[Violation]:
    """Every acknowledged command has exactly one final result for each of its runs, and that is ``sent``: nothing in
    a storm is a reason to give up. One that nobody acknowledged has at most one."""
    found, results = [], evidence.results()
    for command in evidence.commands:
        runs = Counter(event.body.get("run", 1) for event in results.get(command.id, ()))
        if not runs and command.stored is not None:
            found.append(Violation("no result", command.id, command.key, "acknowledged, and has no final result"))
        for run, count in runs.items():
            if count > 1:
                text = f"{count} final results of run {run}"
                found.append(Violation("several results", command.id, command.key, text))
        for event in results.get(command.id, ()):
            if event.body["status"] != "sent":
                text = f"ended as {event.body['status']}: {event.body.get('error')}"
                found.append(Violation("not sent", command.id, command.key, text))
    return found


def one_copy(evidence: Evidence) -> list[Violation]:
    """Each command that was sent is in its contact's inbox exactly once, but for extra copies of one that was recorded
    as uncertain, and for what whatsmeow encrypted under a key that it had used (nobody can read that)."""
    found, copies, results = [], evidence.copies(), evidence.results()
    unreadable = {one.id: one.reason for one in evidence.unreadable}
    for command in evidence.commands:
        count = len(copies.get(command.id, ()))
        sent = [event.body["wa_id"] for event in results.get(command.id, ()) if event.body["status"] == "sent"]
        if count > 1 and command.id not in evidence.uncertain:
            text = f"{count} copies, and it was never recorded as uncertain"
            found.append(Violation("doubled", command.id, command.key, text))
        if count == 0 and sent and unreadable.get(sent[0]) != "key_reuse":
            reason = unreadable.get(sent[0], "it never came")
            found.append(Violation("not there", command.id, command.key, f"said to be sent as {sent[0]}: {reason}"))
        elif count and results.get(command.id) and not sent and command.id not in evidence.uncertain:
            found.append(Violation("sent in secret", command.id, command.key, "arrived, but its result is another"))
    return found


def inbound_once(evidence: Evidence) -> list[Violation]:
    """Every message that a client receipted is in the events exactly once, or named in a gap report; and every message
    was taken in the end."""
    found = []
    counts = Counter((event.key, event.body["wa_id"]) for event in evidence.of_kind("message"))
    named = evidence.named()
    for letter in evidence.letters:
        key = evidence.accounts[letter.to]
        count = counts[key, letter.id]
        if count > 1:
            found.append(Violation("inbound doubled", letter.id, key, f"{count} events"))
        elif count == 1 and letter.id in named:
            found.append(Violation("named in vain", letter.id, key, "named as lost, and it is in the events"))
        elif count == 0 and letter.id not in named:
            if letter.receipted is None:
                found.append(Violation("not taken", letter.id, key, "waits on WhatsApp's server to the end"))
            else:
                found.append(Violation("inbound lost", letter.id, key, "receipted, neither an event nor named"))
    return found


def named_near_kills(evidence: Evidence) -> list[Violation]:
    """What is named as lost was receipted around a kill of the port that took it: of its own, or of main."""
    found, named = [], evidence.named()
    known = {letter.id for letter in evidence.letters}
    for wa_id in named.keys() - known:
        found.append(Violation("named, unknown", wa_id, named[wa_id][0].key, "nobody ever wrote this message"))
    for letter in evidence.letters:
        if letter.id not in named or letter.receipted is None:
            continue
        key = evidence.accounts[letter.to]
        if not _near_a_kill(evidence, key, letter.receipted):
            found.append(Violation("named, no kill", letter.id, key, "named as lost, far from any kill of its port"))
    return found


def _near_a_kill(evidence: Evidence, key: Key, at: float) -> bool:
    return any(
        struck.at - BEFORE_S <= at <= struck.until + AFTER_S
        for struck in evidence.strikes
        if struck.strike.what in (What.PORT, What.MAIN) and struck.strike.concerns(key)
    )


def order_out(evidence: Evidence) -> list[Violation]:
    """First copies arrive in the order in which their commands were stored, within each channel, chat and priority. A
    copy that the contact had to ask for again came later than it was sent, and does not count."""
    found, commands = [], {command.id: command for command in evidence.commands}
    again = {one.id for one in evidence.unreadable if one.reason == "undecryptable"}
    last: dict[tuple[Key, str, str], Command] = {}
    seen: set[str] = set()
    for arrival in evidence.arrivals:
        command = commands.get(arrival.text)
        if command is None or command.id in seen or arrival.id in again:
            continue
        seen.add(command.id)
        before = last.get(command.lane)
        if before is not None and before.number > command.number:
            text = f"arrived after {before.id}, which was stored later (chat {command.chat}, {command.priority})"
            found.append(Violation("order out", command.id, command.key, text, before.id))
        else:
            last[command.lane] = command
    return found


def order_in(evidence: Evidence) -> list[Violation]:
    """Events of messages come in the order in which they were written, within each chat. One that the client could not
    read at first came later, and does not count."""
    found: list[Violation] = []
    places = {letter.id: place for place, letter in enumerate(evidence.letters)}
    letters = {letter.id: letter for letter in evidence.letters}
    last: dict[tuple[str, str], Letter] = {}
    seen: set[str] = set()
    for event in evidence.of_kind("message"):
        letter = letters.get(event.body["wa_id"])
        if letter is None or letter.retries or letter.id in seen:
            continue
        seen.add(letter.id)
        chat = letter.to, letter.sender
        before = last.get(chat)
        if before is not None and places[before.id] > places[letter.id]:
            text = f"event after that of {before.id} ({before.text}), which was written later ({letter.text})"
            found.append(Violation("order in", letter.id, event.key, text, before.id))
        else:
            last[chat] = letter
    return found


def came_back(evidence: Evidence) -> list[Violation]:
    """The last state event of every channel says that it is connected."""
    last = {event.key: event for event in evidence.of_kind("state")}
    found = []
    for key in evidence.accounts.values():
        event = last.get(key)
        if event is None or event.body["state"] != "connected":
            shown = f"{event.body['state']} ({event.body.get('reason')})" if event else "no state event at all"
            found.append(Violation("not back", "/".join(key), key, shown))
    return found


LAWS: Final[tuple[Callable[[Evidence], list[Violation]], ...]] = (
    one_result,
    one_copy,
    inbound_once,
    named_near_kills,
    order_out,
    order_in,
    came_back,
)


def judge(evidence: Evidence) -> Verdict:
    """By all laws."""
    violations = [violation for law in LAWS for violation in law(evidence)]
    counts = {**_outbound(evidence), **_inbound(evidence)}
    by_law: dict[str, int] = defaultdict(int)
    for violation in violations:
        by_law[f"VIOLATED: {violation.law}"] += 1
    return Verdict({**counts, **by_law}, violations)


def _outbound(evidence: Evidence) -> dict[str, int]:
    results, copies = evidence.results(), evidence.copies()
    statuses = Counter(event.body["status"] for events in results.values() for event in events)
    of_keys = [one for one in evidence.unreadable if one.reason == "key_reuse"]
    ids = {command.id for command in evidence.commands}
    repeats = sum(bool(event.body.get("repeat")) for event in evidence.of_kind("result"))
    return {
        "commands": len(evidence.commands),
        "commands acknowledged by JetStream": sum(one.stored is not None for one in evidence.commands),
        "commands published more than once": sum(one.tries > 1 for one in evidence.commands),
        **{f"final results: {status}": count for status, count in sorted(statuses.items())},
        "results given again (repeat)": repeats,
        "copies at contacts": sum(len(copies.get(one, ())) for one in ids),
        "commands that arrived exactly once": sum(len(copies.get(one, ())) == 1 for one in ids),
        "commands recorded as uncertain": len(evidence.uncertain & ids),
        "  of which arrived more than once": sum(len(copies.get(one, ())) > 1 for one in evidence.uncertain & ids),
        "lost to whatsmeow's reuse of a key": len(of_keys),
        "not readable by the contact at first": sum(one.reason == "undecryptable" for one in evidence.unreadable),
    }


def _inbound(evidence: Evidence) -> dict[str, int]:
    messages = evidence.of_kind("message")
    return {
        "inbound messages written": len(evidence.letters),
        "inbound messages receipted": sum(one.receipted is not None for one in evidence.letters),
        "inbound message events": len(messages),
        "  of which waited as backlog": sum(bool(event.body.get("backlog")) for event in messages),
        "inbound asked for again (undecryptable)": sum(one.retries > 0 for one in evidence.letters),
        "gap reports": len(evidence.of_kind("gap")),
        "inbound named as lost": len(evidence.named()),
        "receipt events": len(evidence.of_kind("receipt")),
    }
