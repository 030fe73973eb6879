import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.http.telling import AT_ONCE, READY, Said, Sight, said, told, written
from gateway.http.watching import Counters, counters
from protocol.access import Caller, Role
from protocol.live import Changes, Gone, ShownCode
from protocol.meters import ClinicTotals
from tests.unit.actors.test_board import channel, clinic

AT = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING = Changes(
    version=7,
    whole=True,
    clinics=[clinic("acme"), clinic("bela")],
    channels=[channel("acme", "front"), channel("acme", "back"), channel("bela", "front")],
    codes=[
        ShownCode(clinic=of, channel=name, code="2@secret", expires_at=AT)
        for of, name in (("acme", "front"), ("acme", "back"), ("bela", "front"))
    ],
    gone=[Gone(clinic="acme", channel="old"), Gone(clinic="bela", channel=None)],
)
COUNTED = [Said("counters", Counters(clinic=of, since=AT, sent=1), of) for of in ("acme", "bela")]
SAID = [*said(EVERYTHING), *COUNTED]


def sight(role: Role = Role.OPERATOR, clinics: frozenset[str] | None = None, **only: Any) -> Sight:
    return Sight(caller=Caller(id="k", role=role, clinics=clinics), **{"clinic": None, "channel": None, **only})


def names(events: list[Said]) -> list[str]:
    return [one.name for one in events]


def test_the_whole_picture_begins_with_reset_and_ends_with_ready() -> None:
    events = told(SAID, sight(), begins=True)
    assert names(events) == [
        "reset", "gone", "gone", "clinic", "clinic", "channel", "channel", "channel", "qr", "qr", "qr",
        "counters", "counters", "ready",
    ]  # fmt: skip


@pytest.mark.parametrize(("begins", "expected"), [(True, ["ready"]), (False, [])])
def test_a_stream_that_goes_on_is_ready_at_once(begins: bool, expected: list[str]) -> None:
    nothing = Changes(version=7, whole=False)
    assert names(told(said(nothing), sight(), begins=begins)) == expected


def test_codes_are_not_for_who_only_looks() -> None:
    assert "qr" not in names(told(SAID, sight(Role.VIEWER), begins=True))


@pytest.mark.parametrize(
    "shown",
    [sight(clinics=frozenset({"acme"})), sight(clinic="acme"), sight(clinics=frozenset({"acme"}), clinic="acme")],
)
def test_only_what_is_asked_for_and_allowed_is_told(shown: Sight) -> None:
    events = told(SAID, shown, begins=True)
    assert b"bela" not in b"".join(written(events, "e-7"))
    assert names(events).count("channel") == 2


def test_a_channel_is_told_with_its_clinic_and_without_its_siblings() -> None:
    events = told(SAID, sight(clinic="acme", channel="front"), begins=True)
    assert names(events) == ["reset", "clinic", "channel", "qr", "counters", "ready"]


def test_each_event_stands_for_itself_and_the_last_has_the_id() -> None:
    events = [Said("clinic", clinic(f"c{number}")) for number in range(AT_ONCE * 2 + 1)] + [READY]

    pieces = list(written(events, "0a1b2c3d-7"))
    records = b"".join(pieces).decode().removesuffix("\n\n").split("\n\n")

    assert len(pieces) == 3
    assert len(records) == len(events)
    fields = [dict(line.split(": ", 1) for line in record.split("\n")) for record in records]
    assert [json.loads(one["data"]).get("id") for one in fields[:-1]] == [f"c{n}" for n in range(AT_ONCE * 2 + 1)]
    assert fields[-1] == {"event": "ready", "data": "{}", "id": "0a1b2c3d-7"}
    assert not any("id" in one for one in fields[:-1])


def test_a_clinic_is_counted_over_its_channels() -> None:
    totals = {
        "acme": ClinicTotals(accepted=4, sent=3, delivered=2, read=1, failed=1, dead=1, received=4),
        "gone": ClinicTotals(accepted=1),
    }
    assert counters(totals, {"acme": {"front": 2, "back": 1}, "bela": {"front": 0}}, AT) == {
        "acme": Counters(
            clinic="acme", since=AT, queued=3, accepted=4, sent=3, delivered=2, read=1, failed=1, dead=1, received=4
        ),
        "bela": Counters(clinic="bela", since=AT),
    }
