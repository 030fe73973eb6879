"""The laws of ``make storm``: what each finds, and what it lets pass."""

from typing import Any

import pytest

from tests.emulator.api import Arrival, Letter, Unreadable
from tests.storm.evidence import Command, Evidence, Stored, Struck
from tests.storm.laws import judge
from tests.storm.plan import Strike, What

KEY = ("acme", "desk")
PHONE, CHAT = "5511900000001", "5511888000001"


def commands(*names: str) -> list[Command]:
    return [Command(name, KEY, CHAT, "normal", number, 1.0, 2.0) for number, name in enumerate(names)]


def events(*bodies: dict[str, Any]) -> list[Stored]:
    """After the one by which the channel became connected."""
    own = {"clinic": KEY[0], "channel": KEY[1]}
    all_of_them = [{"kind": "state", "state": "connected"}, *bodies]
    return [Stored(number, 3.0, body["kind"], {**own, **body}) for number, body in enumerate(all_of_them, 1)]


def result(name: str, status: str = "sent", **more: Any) -> dict[str, Any]:
    return {"kind": "result", "id": name, "run": 1, "status": status, "wa_id": f"wa-{name}", **more}


def message(name: str) -> dict[str, Any]:
    return {"kind": "message", "wa_id": name, "backlog": False}


def gap(*names: str) -> dict[str, Any]:
    return {"kind": "gap", "lost": [{"wa_id": name} for name in names]}


def arrivals(*names: str) -> list[Arrival]:
    return [Arrival(CHAT, f"wa-{name}", PHONE, name, 4.0) for name in names]


def letters(*names: str, receipted: float | None = 100.0) -> list[Letter]:
    return [Letter(name, CHAT, PHONE, name, 1.0, receipted) for name in names]


def struck(what: What, at: float, key: tuple[str, str] | None = None) -> Struck:
    return Struck(Strike(what=what, after=0.0, key=key), at, at)


def broken(**evidence: Any) -> list[tuple[str, str]]:
    verdict = judge(Evidence(accounts={PHONE: KEY}, **{"events": events(), **evidence}))
    return [(violation.law, violation.id) for violation in verdict.violations]


def test_a_channel_that_is_not_connected_in_the_end_is_not_back() -> None:
    assert broken(events=[]) == [("not back", "acme/desk")]
    assert broken(events=events({"kind": "state", "state": "error", "reason": "?"})) == [("not back", "acme/desk")]


def test_all_is_well() -> None:
    assert not broken(
        commands=commands("a", "b"),
        arrivals=arrivals("a", "b"),
        letters=letters("x", "y"),
        events=events(result("a"), message("x"), result("b"), message("y"), result("a", repeat=True)),
    )


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ([], [("no result", "a")]),
        ([result("a"), result("a")], [("several results", "a")]),
        ([result("a"), result("a", run=2)], []),
        ([result("a"), result("a", "late")], []),
        ([result("a", "failed")], [("not sent", "a"), ("sent in secret", "a")]),
    ],
)
def test_each_run_has_one_result(bodies: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert broken(commands=commands("a"), arrivals=arrivals("a"), events=events(*bodies)) == expected


def test_a_command_nobody_acknowledged_need_not_be_answered() -> None:
    [command] = commands("a")
    command.stored = None
    assert not broken(commands=[command])


def test_a_second_copy_needs_a_doubt() -> None:
    given = {"commands": commands("a"), "arrivals": arrivals("a", "a"), "events": events(result("a"))}
    assert broken(**given) == [("doubled", "a")]
    assert not broken(**given, uncertain=frozenset({"a"}))


def test_what_was_sent_is_there_unless_nobody_could_read_it() -> None:
    given = {"commands": commands("a"), "events": events(result("a"))}
    assert broken(**given) == [("not there", "a")]
    assert not broken(**given, unreadable=[Unreadable(CHAT, "wa-a", PHONE, "key_reuse", 4.0)])
    assert broken(**given, unreadable=[Unreadable(CHAT, "wa-a", PHONE, "undecryptable", 4.0)]) == [("not there", "a")]


def test_inbound_is_an_event_once_or_named() -> None:
    kill = [struck(What.PORT, 101.0, KEY)]
    assert broken(letters=letters("x")) == [("inbound lost", "x")]
    assert broken(letters=letters("x", receipted=None)) == [("not taken", "x")]
    assert broken(letters=letters("x"), events=events(message("x"), message("x"))) == [("inbound doubled", "x")]
    assert not broken(letters=letters("x"), events=events(gap("x")), strikes=kill)
    assert broken(letters=letters("x"), events=events(gap("x"), message("x")), strikes=kill) == [("named in vain", "x")]


@pytest.mark.parametrize(
    ("strike", "near"),
    [
        (struck(What.PORT, 101.0, KEY), True),
        (struck(What.MAIN, 101.0), True),
        (struck(What.PORT, 101.0, ("acme", "other")), False),
        (struck(What.BROKER, 101.0), False),
        (struck(What.PORT, 130.0, KEY), False),
        (struck(What.PORT, 30.0, KEY), False),
    ],
)
def test_what_is_named_was_receipted_around_a_kill(strike: Struck, near: bool) -> None:
    found = broken(letters=letters("x"), events=events(gap("x")), strikes=[strike])
    assert found == ([] if near else [("named, no kill", "x")])


def test_what_nobody_wrote_is_not_named() -> None:
    assert broken(events=events(gap("x"))) == [("named, unknown", "x")]


def test_order_holds_by_first_copies() -> None:
    given = {"commands": commands("a", "b"), "events": events(result("a"), result("b"))}
    assert broken(**given, arrivals=arrivals("b", "a")) == [("order out", "a")]
    assert not broken(**given, arrivals=arrivals("a", "b", "a"), uncertain=frozenset({"a"}))
    late = [Unreadable(CHAT, "wa-a", PHONE, "undecryptable", 3.5)]
    assert not broken(**given, arrivals=arrivals("b", "a"), unreadable=late)


def test_order_of_inbound_messages_holds_but_for_those_asked_for_again() -> None:
    first, second = letters("x", "y")
    given = events(message("y"), message("x"))
    assert broken(letters=[first, second], events=given) == [("order in", "x")]
    first.retries = 1
    assert not broken(letters=[first, second], events=given)
