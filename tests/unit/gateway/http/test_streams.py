import pytest

from gateway.http.problems import Refused
from gateway.http.streams import Stream, Streams
from protocol.access import Caller, Role


def caller(key: str, *clinics: str) -> Caller:
    return Caller(id=key, role=Role.VIEWER, clinics=frozenset(clinics) or None)


def here() -> bool:
    return False


def opened(streams: Streams, count: int, *clinics: str, key: str = "k") -> list[Stream]:
    return [streams.open(caller(f"{key}-{clinics}-{number}", *clinics), here) for number in range(count)]


def test_a_key_has_no_more_than_its_share() -> None:
    streams = Streams(per_key=2)
    mine = [streams.open(caller("k"), here) for _ in range(2)]
    with pytest.raises(Refused, match="2 streams of this key"):
        streams.open(caller("k"), here)
    streams.open(caller("other"), here)

    streams.close(mine[0])
    streams.open(caller("k"), here)


def test_a_clinic_has_no_more_than_its_share_by_however_many_keys() -> None:
    streams = Streams(per_clinic=2)
    opened(streams, 2, "acme", "coda")
    with pytest.raises(Refused, match="2 streams of this clinic"):
        streams.open(caller("another", "acme"), here)
    opened(streams, 2, "bela")
    opened(streams, 3)
    assert len(streams) == 7


def test_whose_client_has_left_makes_room() -> None:
    streams, left = Streams(per_key=1), list[bool]()
    first = streams.open(caller("k"), lambda: bool(left))
    left.append(True)
    streams.open(caller("k"), here)
    assert first.over
    assert first.wake.is_set()


def test_when_all_are_open_whoever_has_most_gives_one_up() -> None:
    streams = Streams(most=4)
    acme = opened(streams, 3, "acme")
    opened(streams, 1, "bela")

    (second,) = opened(streams, 1, "bela", key="second")

    assert [stream.over for stream in acme] == [True, False, False]
    assert not second.over
    with pytest.raises(Refused, match="4 streams are open"):
        opened(streams, 1, "bela", key="third")
    assert len(streams) == 4


def test_the_node_s_own_share_is_taken_from_as_a_clinic_s() -> None:
    streams = Streams(most=3)
    node = opened(streams, 3)
    opened(streams, 1, "acme")
    assert [stream.over for stream in node] == [True, False, False]


def test_what_a_clinic_s_keys_have_open_keeps_no_other_clinic_s_out() -> None:
    streams = Streams(per_clinic=2, most=4)
    acme = opened(streams, 2, "acme")
    opened(streams, 2, "acme", "bela")
    with pytest.raises(Refused, match="2 streams of this clinic"):
        opened(streams, 1, "acme", "bela", key="third")

    streams = Streams(most=4)
    acme = opened(streams, 4, "acme")
    opened(streams, 1, "acme", "bela")
    assert [stream.over for stream in acme] == [True, False, False, False]
