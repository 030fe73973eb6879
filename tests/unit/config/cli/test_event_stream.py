import pytest

from config.cli.event_stream import Event, EventStreamError, events
from config.cli.events import told

STREAM = b"""retry: 2000

event: reset
data: {}

event: clinic
data: {"id": "acme",
data: "state": "running"}
id: 0a-3

:

event: gone
data: {"clinic": "bela", "channel": null}
"""


def test_events_are_read_and_signs_of_life_passed_over() -> None:
    found = list(events(STREAM.splitlines(keepends=True)))

    assert found == [
        Event(name="reset", data={}),
        Event(name="clinic", data={"id": "acme", "state": "running"}, id="0a-3"),
    ]


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(EventStreamError):
        list(events([b"event: clinic\n", b"data: <html>\n", b"\n"]))


CHANNEL = {"clinic": "acme", "channel": "front", "state": "reconnecting", "reason": "dial", "next_retry_at": None}


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("clinic", {"id": "acme", "state": "running", "reason": ""}, "acme: running"),
        ("channel", CHANNEL, "acme/front: reconnecting (dial)"),
        ("channel", {**CHANNEL, "next_retry_at": "2026-03-01T12:00:00Z"}, "dial), next try at 2026-"),
        ("qr", {"clinic": "acme", "channel": "front", "code": None}, "acme/front: no code to scan"),
        ("qr", {"clinic": "acme", "channel": "front", "code": "2@x"}, "plantao channel pair acme front"),
        ("gone", {"clinic": "acme", "channel": "front"}, "acme/front: removed"),
        ("gone", {"clinic": "acme", "channel": None}, "acme: removed"),
        ("counters", {"clinic": "acme", "since": "2026-03-01T12:00:00Z", "sent": 3, "dead": 0}, "acme: 3 sent since"),
        ("later", {}, "later"),
    ],
)
def test_an_event_is_told_in_a_line(name: str, data: dict[str, object], line: str) -> None:
    assert line in str(told(name, data))


@pytest.mark.parametrize("name", ["reset", "ready"])
def test_what_is_for_programs_is_not_told(name: str) -> None:
    assert told(name, {}) is None


def test_a_code_is_not_shown() -> None:
    assert "2@x" not in str(told("qr", {"clinic": "acme", "channel": "front", "code": "2@x"}))
