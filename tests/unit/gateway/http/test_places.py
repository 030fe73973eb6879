from collections import Counter

from gateway.http.places import Place, Places


class Connected:
    """Connections with places, by name, and which were cut."""

    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.cut: list[str] = []
        self.refused = Counter[str]()
        self.places = Places(most, self.refused, lambda: self.now)

    def come(self, name: str, network: str = "a") -> Place | None:
        """A second after whatever was before."""
        self.now += 1
        return self.places.take(network, lambda: self.cut.append(name))

    def came(self, name: str, network: str = "a") -> Place:
        place = self.come(name, network)
        assert place is not None
        return place


def test_while_there_are_places_nobody_makes_way() -> None:
    connected = Connected(2)
    connected.came("first").leave()
    connected.came("second")
    connected.came("third")
    assert connected.cut == []
    assert not connected.refused


def test_who_has_waited_longest_makes_way() -> None:
    connected = Connected(3)
    first = connected.came("first")
    connected.came("second")
    connected.came("third")
    connected.now += 1
    first.touch()

    connected.came("fourth")
    connected.came("fifth")

    assert connected.cut == ["second", "third"]
    assert len(connected.places) == 3


def test_it_is_the_network_with_most_that_wait() -> None:
    connected = Connected(4)
    connected.came("theirs", "b")
    for number in range(3):
        connected.came(f"{number}")

    connected.came("new", "c")
    connected.came("newer", "a")

    assert connected.cut == ["0", "1"]


def test_who_comes_from_the_network_with_most_takes_no_place_of_another() -> None:
    connected = Connected(4)
    connected.came("theirs", "b")
    for number in range(100):
        connected.came(f"{number}")
    assert "theirs" not in connected.cut
    assert len(connected.places) == 4


def test_what_is_held_does_not_make_way_and_counts_for_nothing_against_its_network() -> None:
    connected = Connected(5)
    busy = [connected.came(f"busy {number}") for number in range(2)]
    connected.came("waits")
    for number in range(2):
        connected.came(f"theirs {number}", "b")

    with busy[0].hold(), busy[1].hold():
        for name in ("new", "newer", "newest"):
            connected.came(name, "c")
    assert connected.cut == ["theirs 0", "waits", "new"]


def test_when_all_are_held_who_comes_is_refused_until_one_is_not() -> None:
    connected = Connected(2)
    first, second = connected.came("first"), connected.came("second")
    with first.hold():
        with second.hold():
            assert connected.come("third") is None
        connected.came("fourth")
    assert connected.cut == ["second"]
    assert connected.refused == {"full": 2}


def test_what_was_held_waits_from_then_on() -> None:
    connected = Connected(2)
    first = connected.came("first")
    connected.came("second")
    with first.hold():
        connected.now += 1
    connected.came("third")
    assert connected.cut == ["second"]


def test_whose_client_leaves_while_it_is_held_keeps_the_place_until_the_work_is_done() -> None:
    connected = Connected(1)
    place = connected.came("first")
    with place.hold():
        place.leave()
        assert connected.come("second") is None
    assert len(connected.places) == 0
    connected.came("third")
    assert connected.cut == []


def test_who_was_cut_and_then_ends_frees_no_other_place() -> None:
    connected = Connected(1)
    first = connected.came("first")
    connected.came("second")
    first.leave()
    assert len(connected.places) == 1


def test_at_the_end_all_are_cut() -> None:
    connected = Connected(3)
    connected.came("first")
    with connected.came("second").hold():
        connected.places.clear()
    assert sorted(connected.cut) == ["first", "second"]
    assert len(connected.places) == 0
