"""What has changed, for whoever looks on."""

import threading
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.board import Board
from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ChannelState, ClinicState, QrCode
from protocol.live import Gone, ShownCode
from tests.unit.actors.test_board import AT, channel, clinic

CODE = QrCode(code="2@secret", expires_at=AT + timedelta(seconds=20))


def begun() -> Board:
    board = Board()
    for name in ("acme", "bela"):
        board.put_clinic(clinic(name))
        board.put_channel(channel(name, "front"))
    return board


def test_the_first_look_is_the_whole_picture() -> None:
    board = begun()
    board.put_channel(replace(channel("acme", "front"), state=ChannelState.QR_REQUIRED), CODE)
    board.drop_clinic("bela")

    seen = board.changes(None)

    assert (seen.whole, seen.gone) == (True, [])
    assert [(one.id, one.channels) for one in seen.clinics] == [("acme", {"qr_required": 1})]
    assert [one.state for one in seen.channels] == [ChannelState.QR_REQUIRED]
    assert seen.codes == [ShownCode(clinic="acme", channel="front", code=CODE.code, expires_at=CODE.expires_at)]
    assert board.changes(seen.version).channels == []


def test_only_the_newest_of_what_changed_is_told() -> None:
    board = begun()
    since = board.changes(None).version
    for queued in range(3):
        board.put_channel(replace(channel("acme", "front"), queued=queued))

    seen = board.changes(since)

    assert not seen.whole
    assert [(one.clinic, one.queued) for one in seen.channels] == [("acme", 2)]
    assert seen.clinics == []


def test_a_clinic_has_changed_when_its_channels_make_it_look_otherwise() -> None:
    board = begun()
    since = board.changes(None).version
    board.put_channel(replace(channel("acme", "front"), state=ChannelState.LOGGED_OUT))
    (degraded,) = board.changes(since).clinics
    assert (degraded.state, degraded.channels) == (ClinicState.DEGRADED, {"logged_out": 1})

    board.put_trouble("acme", "front", "disk full")
    (troubled,) = board.changes(since).clinics
    assert (troubled.state, troubled.reason) == (ClinicState.ERROR, "cannot store: disk full")

    since = board.changes(None).version
    board.put_trouble("acme", "front", "disk full")
    assert board.changes(since).clinics == []
    board.drop_channel("acme", "front")
    (empty,) = board.changes(since).clinics
    assert (empty.state, empty.channels) == (ClinicState.RUNNING, {})


def test_a_code_is_told_when_it_changes_and_when_there_is_none_any_more() -> None:
    board = begun()
    since = board.changes(None).version
    asking = replace(channel("acme", "front"), state=ChannelState.QR_REQUIRED)
    board.put_channel(asking, CODE)
    shown = board.changes(since)
    assert [one.code for one in shown.codes] == [CODE.code]

    board.put_channel(replace(asking, queued=1), CODE)
    assert board.changes(shown.version).codes == []

    board.put_channel(channel("acme", "front"))
    assert board.changes(shown.version).codes == [ShownCode(clinic="acme", channel="front", code=None, expires_at=None)]


def test_what_is_gone_is_told_also_when_it_is_there_again() -> None:
    board = begun()
    since = board.changes(None).version
    board.drop_channel("acme", "front")
    board.put_channel(channel("acme", "front"))
    board.drop_clinic("bela")

    seen = board.changes(since)

    assert seen.gone == [Gone(clinic="acme", channel="front"), Gone(clinic="bela", channel=None)]
    assert [(one.clinic, one.channel) for one in seen.channels] == [("acme", "front")]
    assert [one.id for one in seen.clinics] == ["acme"]


def test_a_version_that_is_not_known_gets_the_whole_picture() -> None:
    board = begun()
    assert board.changes(board.changes(None).version + 1).whole
    assert board.epoch != begun().epoch


def test_whoever_follows_misses_nothing_while_others_write() -> None:
    board, known = begun(), {}

    def write(id: str) -> None:
        for queued in range(300):
            board.put_channel(replace(channel("acme", id), queued=queued))

    writers = [threading.Thread(target=write, args=(each,)) for each in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    version = None
    while any(writer.is_alive() for writer in writers):
        seen = board.changes(version)
        known.update({one.channel: one.queued for one in seen.channels})
        version = seen.version
    known.update({one.channel: one.queued for one in board.changes(version).channels})

    assert known == {"front": 0, "a": 299, "b": 299, "c": 299}


class Follower:
    """Whoever keeps a picture by what is told of changes."""

    def __init__(self) -> None:
        self.version: int | None = None
        self.shown: dict[tuple[str, ...], object] = {}

    def look(self, board: Board) -> None:
        seen = board.changes(self.version)
        self.version = seen.version
        if seen.whole:
            self.shown = {}
        for gone in seen.gone:
            of = (gone.clinic,) if gone.channel is None else (gone.clinic, gone.channel)
            self.shown = {key: what for key, what in self.shown.items() if key[1 : len(of) + 1] != of}
        self.shown |= {("clinic", one.id): one for one in seen.clinics}
        self.shown |= {("channel", one.clinic, one.channel): one for one in seen.channels}
        self.shown |= {("code", one.clinic, one.channel): one for one in seen.codes}
        self.shown = {key: what for key, what in self.shown.items() if not _is_no_code(what)}


def _is_no_code(what: object) -> bool:
    return isinstance(what, ShownCode) and what.code is None


def wanted(keys: set[tuple[str, str]], name: str = "Front") -> Wanted:
    channels = {key: ChannelRecord(clinic=key[0], id=key[1], name=name, created_at=AT) for key in keys}
    return Wanted(clinics={}, channels=channels)


def test_a_channel_that_is_wanted_is_shown_before_it_has_begun_and_when_it_is_wanted_again() -> None:
    board = begun()
    since = board.changes(None).version
    board.put_wanted(wanted({("acme", "back"), ("acme", "front")}))
    seen = board.changes(since)
    assert [(one.channel, one.state, one.reason) for one in seen.channels] == [
        ("back", ChannelState.INITIALIZING, "starting")
    ]
    assert [one.channel for one in board.channels("acme")] == ["front"]
    assert [one.channels for one in seen.clinics] == [{"connected": 1, "initializing": 1}]
    board.put_wanted(wanted({("acme", "back"), ("acme", "front")}))
    assert board.changes(seen.version).version == seen.version, "nothing is told twice"

    board.drop_channel("acme", "front")
    again = board.changes(seen.version)
    assert (again.gone, [one.channel for one in again.channels]) == ([Gone(clinic="acme", channel="front")], ["front"])
    assert board.channel("acme", "front") is None

    board.put_channel(channel("acme", "back"))
    board.put_wanted(wanted(set()))
    last = board.changes(again.version)
    assert (last.gone, [one.channel for one in last.channels]) == ([Gone(clinic="acme", channel="front")], ["back"])


CLINICS, CHANNELS = st.sampled_from(["acme", "bela"]), st.sampled_from(["front", "back"])
STEPS = st.one_of(
    st.tuples(st.just("clinic"), CLINICS),
    st.tuples(st.just("channel"), CLINICS, CHANNELS, st.sampled_from(ChannelState), st.booleans()),
    st.tuples(st.just("trouble"), CLINICS, CHANNELS, st.none() | st.just("disk full")),
    st.tuples(st.just("drop clinic"), CLINICS),
    st.tuples(st.just("want"), st.sets(st.tuples(CLINICS, CHANNELS)), st.sampled_from(["A", "B"])),
    st.tuples(st.just("drop channel"), CLINICS, CHANNELS),
    st.tuples(st.just("look")),
)


@given(st.lists(STEPS, max_size=30))
def test_a_picture_that_is_kept_by_changes_is_the_whole_picture(steps: list[tuple[Any, ...]]) -> None:
    board, follower = Board(), Follower()
    for step in steps:
        match step:
            case ("clinic", name):
                board.put_clinic(clinic(name))
            case ("channel", of, name, state, with_code):
                board.put_channel(replace(channel(of, name), state=state), CODE if with_code else None)
            case ("trouble", of, name, reason):
                board.put_trouble(of, name, reason)
            case ("drop clinic", name):
                board.drop_clinic(name)
            case ("want", keys, name):
                board.put_wanted(wanted(keys, name))
            case ("drop channel", of, name):
                board.drop_channel(of, name)
            case _:
                follower.look(board)
    follower.look(board)
    whole = Follower()
    whole.look(board)
    assert follower.shown == whole.shown
    shown = [key[1:] for key in follower.shown if key[0] == "channel"]
    assert sorted(shown) == [(one.clinic, one.channel) for one in board.all_channels()]
