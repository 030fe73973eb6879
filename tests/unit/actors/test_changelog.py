from hypothesis import given
from hypothesis import strategies as st

from actors.changelog import Changelog, Kind, Thing

CLINICS = st.sampled_from(["acme", "bela"])
CHANNELS = st.sampled_from(["front", "back"])
NOTES = st.tuples(st.sampled_from([Kind.CLINIC, Kind.CHANNEL, Kind.CODE]), CLINICS, CHANNELS)
ENDS = st.tuples(st.just(Kind.GONE), CLINICS, CHANNELS | st.none())


def test_what_changed_is_told_once_and_by_when_it_last_did() -> None:
    log = Changelog()
    log.note(Kind.CLINIC, "acme")
    begun = log.version
    log.note(Kind.CHANNEL, "acme", "front")
    log.note(Kind.CHANNEL, "acme", "back")
    log.note(Kind.CHANNEL, "acme", "front")

    assert log.since(begun) == [(Kind.CHANNEL, "acme", "back"), (Kind.CHANNEL, "acme", "front")]
    assert log.since(log.version) == []


def test_what_is_gone_is_told_instead_of_what_it_was() -> None:
    log = Changelog()
    log.note(Kind.CHANNEL, "acme", "front")
    log.note(Kind.CODE, "acme", "front")
    log.note_gone("acme", "front")
    assert log.since(0) == [(Kind.GONE, "acme", "front")]

    log.note_gone("acme")
    assert log.since(0) == [(Kind.GONE, "acme", None)]


def test_who_looked_before_what_is_forgotten_is_not_told_a_part() -> None:
    log = Changelog(most_gone=1)
    log.note_gone("acme", "front")
    between = log.version
    log.note_gone("acme", "back")

    assert log.since(0) is None
    assert log.since(between) == [(Kind.GONE, "acme", "back")]


def test_a_version_of_another_log_is_known_as_such() -> None:
    log = Changelog()
    log.note(Kind.CLINIC, "acme")
    assert log.since(2) is None
    assert log.since(-1) is None


@given(changes=st.lists(NOTES | ENDS), most=st.integers(1, 3))
def test_whoever_follows_ends_with_what_there_is(changes: list[Thing], most: int) -> None:
    log, there, followers = Changelog(most), set[Thing](), [(0, set[Thing]())]
    for kind, clinic, channel in changes:
        if kind is Kind.GONE:
            log.note_gone(clinic, channel)
            there = {thing for thing in there if not _is_of(thing, clinic, channel)}
        else:
            log.note(kind, clinic, channel)
            there.add((kind, clinic, channel))
        followers.append((log.version, set(there)))

    for version, known in followers:
        told = log.since(version)
        if told is None:
            continue
        for _, clinic, channel in [thing for thing in told if thing[0] is Kind.GONE]:
            known = {thing for thing in known if not _is_of(thing, clinic, channel)}
        assert known | {thing for thing in told if thing[0] is not Kind.GONE} == there


def _is_of(thing: Thing, clinic: str, channel: str | None) -> bool:
    return thing[1] == clinic and channel in (None, thing[2])
