from datetime import UTC, datetime

from actors.board import Board
from protocol.channel import Breaker, ChannelSnapshot, ChannelState, ClinicSnapshot, ClinicState, WantedState

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
