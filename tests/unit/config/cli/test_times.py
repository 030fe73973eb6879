from datetime import datetime, timedelta, timezone

import pytest

from config.cli.times import read_time
from protocol.errors import InvalidInputError

NOW = datetime(2026, 11, 20, 12, 0, 30, 5, tzinfo=timezone(timedelta(hours=-3)))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-12-24T09:30:00Z", "2026-12-24T09:30:00Z"),
        ("2026-12-24T09:30:00+02:00", "2026-12-24T07:30:00Z"),
        ("2026-12-24T09:30", "2026-12-24T12:30:00Z"),
        ("2026-12-24 09:30", "2026-12-24T12:30:00Z"),
        ("+90m", "2026-11-20T16:30:30Z"),
        ("+2h", "2026-11-20T17:00:30Z"),
        ("+3d", "2026-11-23T15:00:30Z"),
        ("+10s", "2026-11-20T15:00:40Z"),
        ("13:00", "2026-11-20T16:00:00Z"),
        ("12:00", "2026-11-21T15:00:00Z"),
        ("9:30", "2026-11-21T12:30:00Z"),
    ],
)
def test_times_are_read_in_the_zone_of_who_types(text: str, read: str) -> None:
    assert read_time("--at", text, NOW) == read


@pytest.mark.parametrize("text", ["", "soon", "24:00", "9:3", "+h", "+1y", "-1h", "2026-13-01T00:00", "+100000d"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"\+2h") as caught:
        read_time("--at", text, NOW)
    assert caught.value.field == "--at"
