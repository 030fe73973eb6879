"""Whatever is done to a chain without its key is found out, and named by the first entry that is bad."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.chain import BROKEN, START, BrokenError, Fields, Head, Walk, seal

KEY, OTHER = bytes(32), bytes(31) + b"\x01"

WORDS = st.text("abz.:", min_size=1, max_size=8)
MAYBE = st.none() | WORDS
DRAFTS = st.tuples(st.integers(0, 2**50), WORDS, WORDS, WORDS, MAYBE, MAYBE, st.none() | st.integers(1, 99), WORDS)

Row = tuple[Fields, bytes]


def chain(drafts: list[Fields], key: bytes = KEY, after: Head = START) -> list[Row]:
    rows, at = [], after
    for draft in drafts:
        fields = (at.seq + 1, *draft)
        at = Head(at.seq + 1, seal(key, at.seal, fields))
        rows.append((fields, at.seal))
    return rows


INTEGERS = st.integers(-(2**63), 2**63 - 1)
"""Those that SQLite holds."""
CHAINS = st.lists(DRAFTS, min_size=1, max_size=12).map(chain)


def head_of(rows: list[Row]) -> Head:
    (seq, *_), sealed = rows[-1]
    return Head(seq, sealed)


@dataclass(frozen=True)
class Found:
    bad: int | None


def walk(rows: list[Row], *known: Head, key: bytes = KEY) -> Found | None:
    """What is found, in the order in which a table gives its rows."""
    walking = Walk(key, known)
    try:
        for fields, sealed in sorted(rows, key=lambda row: int(row[0][0])):
            walking.step(fields, sealed)
        walking.end()
    except BrokenError as broken:
        return Found(broken.seq)
    return None


@given(CHAINS, st.data())
def test_whatever_was_appended_is_whole_and_the_head_may_lag(rows: list[Row], data: st.DataObject) -> None:
    kept = data.draw(st.integers(1, len(rows)))
    assert walk(rows, head_of(rows), head_of(rows[:kept]), START) is None


@given(CHAINS, st.data())
def test_any_change_of_any_field_is_found_where_it_is(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    fields, sealed = rows[index]
    column = data.draw(st.integers(1, len(fields) - 1))
    other = data.draw(st.one_of(st.none(), INTEGERS, WORDS, st.binary(max_size=4), st.floats(allow_nan=False)))
    if type(other) is type(fields[column]) and other == fields[column]:
        return
    changed = ((*fields[:column], other, *fields[column + 1 :]), sealed)
    assert walk([*rows[:index], changed, *rows[index + 1 :]], head_of(rows)) == Found(index + 1)


@given(CHAINS, st.data())
def test_any_change_of_a_seal_is_found_where_it_is(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    fields, sealed = rows[index]
    other = data.draw(st.binary(max_size=40).filter(lambda value: value != sealed))
    assert walk([*rows[:index], (fields, other), *rows[index + 1 :]], head_of(rows)) == Found(index + 1)


@given(CHAINS, st.data())
def test_any_deletion_is_found_where_it_is(rows: list[Row], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(rows) - 1))
    end = data.draw(st.integers(begin + 1, len(rows)))
    assert walk([*rows[:begin], *rows[end:]], head_of(rows)) == Found(begin + 1)


@given(CHAINS, st.data())
def test_deletion_is_found_though_the_rest_is_numbered_anew(rows: list[Row], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(rows) - 1))
    left = [*rows[:gone], *rows[gone + 1 :]]
    renumbered = [((seq, *fields[1:]), sealed) for seq, (fields, sealed) in enumerate(left, start=1)]
    assert walk(renumbered, head_of(rows)) == Found(gone + 1)


@given(CHAINS, DRAFTS, st.data())
def test_any_insertion_is_found_where_it_is(rows: list[Row], draft: Fields, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows)))
    before = head_of(rows[:index]) if index else START
    [forged] = chain([draft], OTHER, before)
    after = [((fields[0] + 1, *fields[1:]), sealed) for fields, sealed in rows[index:]]
    assert walk([*rows[:index], forged, *after], head_of(rows)) == Found(index + 1)


@given(CHAINS, st.data())
def test_any_exchange_of_two_is_found_at_the_first(rows: list[Row], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(rows) - 1))
    second = data.draw(
        st.integers(0, len(rows) - 1).filter(lambda value: value != first) if len(rows) > 1 else st.none()
    )
    if second is None:
        return
    first, second = sorted((first, second))
    exchanged = list(rows)
    exchanged[first] = ((first + 1, *rows[second][0][1:]), rows[second][1])
    exchanged[second] = ((second + 1, *rows[first][0][1:]), rows[first][1])
    assert walk(exchanged, head_of(rows)) == Found(first + 1)


@given(CHAINS, st.lists(DRAFTS, min_size=1, max_size=3))
def test_what_is_sealed_with_another_key_is_found_wherever_it_begins(rows: list[Row], drafts: list[Fields]) -> None:
    assert walk([*rows, *chain(drafts, OTHER, head_of(rows))], head_of(rows)) == Found(len(rows) + 1)
    assert walk(rows, key=OTHER) == Found(1)


@given(st.lists(DRAFTS, min_size=2, max_size=6), DRAFTS)
def test_another_end_than_the_one_that_is_known_is_found(drafts: list[Fields], other: Fields) -> None:
    """Two chains of one key, as after a copy was put back and went on, are told apart by what was noted."""
    rows = chain(drafts)
    fork = chain([*drafts[:-1], (other[0] + 1, *drafts[-1][1:])])
    if fork[-1] != rows[-1]:
        assert walk(fork, head_of(rows)) == Found(len(rows))


def test_nothing_at_all_is_whole_if_nothing_was_ever_there() -> None:
    assert walk([]) is None
    assert walk([], Head(3, bytes(32))) == Found(1)


def test_an_entry_that_says_that_the_audit_was_broken_keeps_it_so() -> None:
    said = (0, "node", BROKEN, "done", None, None, None, '{"why":"head_missing"}')
    with pytest.raises(BrokenError, match="head_missing"):
        Walk(KEY, []).step(*chain([said])[0])
