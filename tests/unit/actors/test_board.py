from datetime import UTC, datetime
from functools import partial

from actors.board import Board
from protocol.bus import Wanted
from protocol.channel import (
    Breaker,
    ChannelRecord,
    ChannelSnapshot,
    ChannelState,
    ClinicSnapshot,
    ClinicState,
    WantedState,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)


def clinic(id: str) -> ClinicSnapshot:
    return ClinicSnapshot(
        id=id, name=id, timezone="UTC", state=ClinicState.RUNNING, reason="", channels={}, created_at=AT
    )


def channel(clinic: str, id: str) -> ChannelSnapshot:
    return ChannelSnapshot(
        clinic=clinic,
        channel=id,
        name=id,
        wanted=WantedState.CONNECTED,
        state=ChannelState.CONNECTED,
        reason="",
        since=AT,
        phone=None,
        jid=None,
        profile_name=None,
        attempt=0,
        next_retry_at=None,
        breaker=Breaker.CLOSED,
        sending_breaker=Breaker.CLOSED,
        queued=0,
        created_at=AT,
        last_connected_at=None,
        last_activity_at=None,
        config={},
    )


def test_clinics_and_channels_are_found_and_listed_in_order() -> None:
    board = Board()
    for name in ("b", "a"):
        board.put_clinic(clinic(name))
        board.put_channel(channel(name, "y"))
        board.put_channel(channel(name, "x"))
    assert [found.id for found in board.clinics()] == ["a", "b"]
    assert [(found.clinic, found.channel) for found in board.channels()] == [
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
        ("b", "y"),
    ]
    assert [found.channel for found in board.channels("b")] == ["x", "y"]
    assert board.clinic("a") == clinic("a")
    assert board.channel("a", "x") == channel("a", "x")
    assert board.clinic("c") is None
    assert board.channel("a", "z") is None


def test_a_clinic_that_is_no_more_takes_its_channels_along_and_no_others() -> None:
    board = Board()
    for name in ("a", "ab"):
        board.put_clinic(clinic(name))
        board.put_channel(channel(name, "x"))
    board.drop_clinic("a")
    board.drop_clinic("nobody")
    assert [found.id for found in board.clinics()] == ["ab"]
    assert [found.clinic for found in board.channels()] == ["ab"]
    board.drop_channel("ab", "x")
    board.drop_channel("ab", "x")
    assert board.channels() == []


def test_listeners_hear_of_every_change_until_they_stop() -> None:
    board, heard = Board(), []
    stop = board.listen(lambda: heard.append(1))
    board.put_clinic(clinic("a"))
    board.put_channel(channel("a", "x"))
    board.drop_channel("a", "x")
    board.drop_clinic("a")
    assert len(heard) == 4
    stop()
    board.put_clinic(clinic("a"))
    assert len(heard) == 4


def test_who_waits_for_a_command_is_told_that_it_ended() -> None:
    board = Board()
    told: list[str] = []
    stops = [board.on_ended("acme", "a", each, partial(told.append, each)) for each in ("1", "2", "1")]
    board.ended("acme", "a", ["0", "1"])
    board.ended("acme", "b", ["2"])
    board.ended("beta", "a", ["2"])
    assert told == ["1", "1"]
    for stop in stops[:2]:
        stop()
    board.ended("acme", "a", ["2", "1"])
    assert told == ["1", "1", "1"]
    stops[2]()
    board.ended("acme", "a", ["1"])
    assert told == ["1", "1", "1"]


def test_how_a_channel_is_wanted_is_kept_until_it_is_dropped() -> None:
    board = Board()
    wanted = [ChannelRecord(clinic=clinic, id="a", name="a", created_at=AT) for clinic in ("acme", "beta")]
    for record in wanted:
        board.put_record(record)
    assert board.record("acme", "a") == wanted[0]
    board.drop_channel("acme", "a")
    board.drop_clinic("beta")
    assert board.record("acme", "a") is None
    assert board.record("beta", "a") is None


def test_the_trouble_of_one_channel_is_its_clinics_until_it_is_over_or_gone() -> None:
    board = Board()
    board.put_trouble("acme", "a", "disk full")
    assert (board.trouble("acme"), board.trouble("other")) == ("disk full", None)
    board.put_trouble("acme", "a", None)
    assert board.trouble("acme") is None
    board.put_trouble("acme", "a", "disk full")
    board.drop_channel("acme", "a")
    assert board.trouble("acme") is None
    board.put_trouble("acme", "b", "disk full")
    board.drop_clinic("acme")
    assert board.trouble("acme") is None


def test_who_waits_for_the_registry_is_told_once_it_has_been_read() -> None:
    board, told = Board(), list[str]()
    board.when_read(partial(told.append, "early"))
    assert board.wanted() is None
    assert told == []
    wanted = Wanted(clinics={}, channels={})
    board.put_wanted(wanted)
    board.put_wanted(wanted)
    board.when_read(partial(told.append, "late"))
    assert told == ["early", "late"]
    assert board.wanted() is wanted
