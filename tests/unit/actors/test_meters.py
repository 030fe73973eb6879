"""The numbers that outlive the actors."""

import pytest

from actors.board import Board
from actors.meters import BOUNDS_S, ChannelCount, NodeMeters, Spread
from protocol.codes import ErrorCode
from protocol.events import ErrorBody, ResultEvent, ResultStatus
from protocol.meters import ClinicTotals
from tests.unit.actors.test_board import AT, channel, clinic


def result(status: ResultStatus, code: ErrorCode | None = None) -> ResultEvent:
    error = None if code is None else ErrorBody.of(code, "")
    return ResultEvent(clinic="acme", channel="front", id="1", status=status, error=error)


@pytest.fixture
def board() -> Board:
    board = Board()
    for name in ("acme", "bela"):
        board.put_clinic(clinic(name))
        board.put_channel(channel(name, "front"))
    return board


def test_what_is_on_the_board_is_told_whether_it_was_counted_or_not(board: Board) -> None:
    meters = NodeMeters(board)
    meters.of("acme", "front").accepted += 2
    meters.of("acme", "gone").accepted += 2
    assert [(meter.clinic, meter.channel, meter.accepted) for meter in meters.channels()] == [
        ("acme", "front", 2),
        ("bela", "front", 0),
    ]
    assert [times.clinic for times in meters.times()] == ["acme", "bela"]


def test_the_next_actor_of_a_channel_counts_on(board: Board) -> None:
    meters = NodeMeters(board)
    meters.of("acme", "front").accepted += 1
    meters.of("acme", "front").accepted += 1
    assert meters.channels()[0].accepted == 2


def test_the_totals_of_a_clinic_are_those_of_its_channels(board: Board) -> None:
    meters = NodeMeters(board)
    for name in ("front", "back"):
        count = meters.of("acme", name)
        count.accepted, count.dead, count.inbound = 4, 1, 5
        count.ended |= {"sent": 2, "failed": 1, "expired": 9}
        count.receipts |= {"delivered": 3, "read": 2, "played": 9}
    meters.of("bela", "front")
    assert meters.totals() == {
        "acme": ClinicTotals(accepted=8, sent=4, delivered=6, read=4, failed=2, dead=2, received=10),
        "bela": ClinicTotals(),
    }
    meters.forget("acme", "back")
    meters.forget_clinic("bela")
    assert {clinic: total.accepted for clinic, total in meters.totals().items()} == {"acme": 4}


def test_channels_of_a_clinic_share_its_times(board: Board) -> None:
    meters = NodeMeters(board)
    for name in ("front", "back"):
        meters.of("acme", name).times.queue.took(0.2)
    acme, bela = meters.times()
    assert (sum(acme.queue.counts), sum(bela.queue.counts), sum(acme.send.counts)) == (2, 0, 0)


def test_what_is_removed_is_forgotten(board: Board) -> None:
    meters = NodeMeters(board)
    for name in ("acme", "bela"):
        meters.of(name, "front").accepted += 1
        meters.of(name, "front").times.send.took(1.0)
    meters.forget("acme", "front")
    meters.forget_clinic("bela")
    assert [meter.accepted for meter in meters.channels()] == [0, 0]
    assert [sum(times.send.counts) for times in meters.times()] == [1, 0], "the clinic acme is still there"


def test_every_end_is_counted_by_status_and_failures_by_code() -> None:
    count = ChannelCount()
    for each in (
        result("sent"),
        result("sent"),
        result("failed", ErrorCode.OPTED_OUT),
        result("failed", ErrorCode.CANCELLED),
        result("expired", ErrorCode.EXPIRED),
        result("held", ErrorCode.OUTCOME_UNKNOWN),
    ):
        count.ends(each)
    assert count.ended == {"sent": 2, "failed": 2, "expired": 1, "held": 1, "late": 0}
    assert count.failed == {"opted_out": 1, "cancelled": 1}
    assert count.dead == 1, "what a person cancelled is no dead letter"


def test_only_messages_move_the_time_of_the_last_one() -> None:
    count = ChannelCount()
    count.comes_in(0, AT)
    assert (count.inbound, count.last_inbound_at) == (0, None)
    count.comes_in(3, AT)
    assert (count.inbound, count.last_inbound_at) == (3, AT)


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(-1.0, 0), (0.0, 0), (BOUNDS_S[0], 0), (0.06, 1), (BOUNDS_S[-1], -2), (1e9, -1)]
)
def test_a_time_is_counted_with_the_least_bound_that_it_does_not_exceed(seconds: float, bucket: int) -> None:
    spread = Spread()
    spread.took(seconds)
    read = spread.read()
    assert len(read.counts) == len(read.bounds) + 1
    assert read.counts[bucket] == 1
    assert sum(read.counts) == 1
    assert read.sum == max(0.0, seconds)


def test_what_was_read_does_not_change() -> None:
    count = ChannelCount()
    before = count.read("acme", "front")
    count.ends(result("failed", ErrorCode.OPTED_OUT))
    assert (before.ended["failed"], before.failed) == (0, {})
