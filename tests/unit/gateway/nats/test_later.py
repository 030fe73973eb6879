"""What a schedule says, and what comes of it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.nats import later, wire
from gateway.nats.pull import Delivery, Pull
from protocol.bus import Later

KEY = bytes(range(32))


def delivered(body: bytes) -> Delivery:
    class Consumer:
        name = "later-front"

    return Delivery(cast(Pull, Consumer()), 1, b"", body, None, 0.0)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (datetime(2026, 11, 20, 12, tzinfo=UTC), "@at 2026-11-20T12:00:00Z"),
        (datetime(2026, 11, 20, 12, 0, 0, 1, tzinfo=UTC), "@at 2026-11-20T12:00:01Z"),
        (datetime(2026, 12, 31, 20, 59, 59, 999, tzinfo=timezone(timedelta(hours=-3))), "@at 2027-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_whole_seconds_in_utc_and_never_earlier(at: datetime, said: str) -> None:
    message = later.schedule("acme", "front", Later(id="a:1_x", run=2, at=at), KEY)
    assert message.subject == later.subject("acme", "front", "a:1_x", KEY)
    assert wire.headers_of(message.block) == {
        "Nats-Schedule": said,
        "Nats-Schedule-Target": "clinic.acme.channel.front.due",
    }


@given(st.from_regex(r"[A-Za-z0-9_:-]{1,128}", fullmatch=True), st.integers(1, 2**31))
def test_what_was_scheduled_is_what_is_due(name: str, run: int) -> None:
    body = later.schedule("acme", "front", Later(id=name, run=run, at=datetime(2026, 1, 1, tzinfo=UTC)), KEY).body
    due: Any = later.due(delivered(body))
    assert (due.id, due.run) == (name, run)


def test_the_subject_of_a_schedule_does_not_tell_the_commands_id_and_is_always_the_same() -> None:
    name = "to-5511987654321"
    found = later.subject("acme", "front", name, KEY)
    assert found == later.subject("acme", "front", name, KEY)
    assert found.startswith("clinic.acme.channel.front.later.")
    assert name not in found
    assert len({later.subject("acme", "front", one, key) for one in (name, "other") for key in (KEY, b"")}) == 4


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'{"id": 3, "run": 1}', b'{"v": 2, "id": "a", "run": 1}'])
def test_what_is_no_schedule_of_ours_is_told_and_left_out(body: bytes) -> None:
    with capture_logs() as logs:
        assert later.due(delivered(body)) is None
    assert [line["event"] for line in logs] == ["schedule_unreadable"]
