"""The event feed."""

from tests.emulator.feed import Feed, Happening


def test_events_are_numbered_counted_and_found_by_kind_and_phone() -> None:
    feed = Feed(lambda: 12.5)
    for kind, phone in ((Happening.LOGIN, "1"), (Happening.STANZA, "1"), (Happening.LOGIN, "2")):
        feed.add(kind, phone)
    assert [event.seq for event in feed.after(0)] == [1, 2, 3]
    assert [event.seq for event in feed.after(1)] == [2, 3]
    assert [event.seq for event in feed.after(0, {"login"})] == [1, 3]
    assert [event.seq for event in feed.after(0, {"login"}, "2")] == [3]
    assert feed.counts == {"login": 2, "stanza": 1}
    assert feed.after(0)[0].at == 12.5


def test_only_the_newest_events_are_kept_and_all_are_counted() -> None:
    feed = Feed(lambda: 0.0)
    for _ in range(50_010):
        feed.add(Happening.STANZA)
    assert feed.after(0)[0].seq == 11
    assert feed.counts["stanza"] == feed.last == 50_010


def test_listeners_hear_events_until_they_stop() -> None:
    feed = Feed(lambda: 0.0)
    heard: list[str] = []
    stop = feed.listen(lambda event: heard.append(event.kind))
    feed.add(Happening.LOGIN)
    stop()
    feed.add(Happening.LOGOUT)
    assert heard == ["login"]
