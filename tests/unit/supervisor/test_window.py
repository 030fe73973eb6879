import hypothesis.strategies as st
import pytest
from hypothesis import given

from supervisor.window import BUCKETS, Tally, Window


def test_an_empty_window_has_no_failures() -> None:
    assert Window().tally(5.0) == Tally(0, 0)
    assert Window().tally(5.0).rate == 0.0


def test_calls_are_counted_until_they_are_older_than_the_window() -> None:
    window = Window(span_s=10.0).add(0.0, failed=True).add(5.0, failed=False)
    assert window.tally(9.9) == Tally(2, 1)
    assert window.tally(9.9).rate == 0.5
    assert window.tally(10.0) == Tally(1, 0)
    assert window.tally(15.0) == Tally(0, 0)


def test_emptied_it_knows_of_no_call() -> None:
    assert Window(span_s=10.0).add(0.0, failed=True).emptied() == Window(span_s=10.0)


@pytest.mark.parametrize("at", [0.0, 1e9, 123456.789])
def test_a_call_is_in_the_window_in_which_it_is_added(at: float) -> None:
    assert Window(span_s=0.5).add(at, failed=True).tally(at) == Tally(1, 1)


@given(
    st.lists(st.tuples(st.floats(0.0, 30.0), st.booleans()), max_size=60),
    st.floats(1.0, 100.0),
    st.floats(0.0, 50.0),
)
def test_it_holds_what_a_list_of_all_calls_would(calls: list[tuple[float, bool]], span_s: float, later: float) -> None:
    window, now, everything = Window(span_s=span_s), 0.0, []
    for pause, failed in calls:
        now += pause
        window = window.add(now, failed=failed)
        everything.append((now, failed))
        assert len(window.buckets) <= BUCKETS, "bounded"
    now += later
    tally = window.tally(now)
    for_sure = [failed for at, failed in everything if now - at < span_s * 0.899]
    at_most = [failed for at, failed in everything if now - at <= span_s * 1.001]
    assert len(for_sure) <= tally.calls <= len(at_most)
    assert sum(for_sure) <= tally.failures <= sum(at_most)
