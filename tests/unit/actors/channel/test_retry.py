from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given
from structlog.testing import capture_logs

from actors.channel.retry import BACKOFF, Failures, Retry
from protocol.errors import BusUnavailableError, PlantaoError, StoreFullError, StoreGoneError
from supervisor.backoff import Backoff
from tests.unit.actors.channel.bench import Bench

FIXED = Backoff(base_s=1.0, cap_s=4.0)


@dataclass(frozen=True, slots=True)
class Due:
    """The pause is over."""


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def retry(bench: Bench) -> Retry:
    return Retry(bench.context, "not done yet", "again", Due(), backoff=FIXED, silent="nothing came within 3 s")


def test_at_first_all_is_well(bench: Bench, retry: Retry) -> None:
    assert (retry.failing, retry.trouble, bench.timers) == (False, None, {})


def test_a_failure_is_told_and_tried_again_after_a_pause(bench: Bench, retry: Retry) -> None:
    with capture_logs() as logs:
        retry.failed(BusUnavailableError("NATS is away"))
    ((name, (seconds, due)),) = bench.timers.items()
    assert (name, due) == ("again", Due())
    assert 0 <= seconds <= FIXED.ceiling(1)
    assert (retry.failing, retry.trouble) == (True, "NATS is away")
    assert logs == [
        {
            "event": "not done yet",
            "log_level": "warning",
            "error": "NATS is away",
            "retry_in_s": round(seconds, 2),
        }
    ]


def test_after_a_success_the_next_failure_is_the_first_again(bench: Bench, retry: Retry) -> None:
    for _ in range(5):
        retry.failed(StoreFullError("full"))
    retry.succeeded()
    assert (retry.failing, retry.trouble) == (False, None)
    retry.failed(StoreFullError("full"))
    assert bench.timers["again"][0] <= FIXED.ceiling(1)


@pytest.mark.parametrize(
    ("error", "level", "trouble"),
    [
        (StoreGoneError("another store"), "warning", "another store"),
        (TimeoutError("no answer within 20 s"), "warning", "no answer within 20 s"),
        (TimeoutError(), "warning", "nothing came within 3 s"),
        (PlantaoError(), "warning", "nothing came within 3 s"),
        (ValueError("x"), "error", "ValueError('x')"),
        (KeyError(), "error", "KeyError()"),
    ],
)
def test_what_nobody_raises_on_purpose_is_an_error_and_a_time_out_has_words(
    retry: Retry, error: BaseException, level: str, trouble: str
) -> None:
    with capture_logs() as logs:
        retry.failed(error)
    assert [(line["log_level"], line["error"]) for line in logs] == [(level, trouble)]
    assert retry.trouble == trouble


def test_who_sets_its_own_timers_is_told_the_pause(bench: Bench) -> None:
    failures = Failures(bench.context, "not done yet")
    assert 0 <= failures.count(TimeoutError()) <= BACKOFF.ceiling(1)
    assert (failures.failing, failures.trouble, bench.timers) == (True, "no answer in time", {})


@given(outcomes=st.lists(st.booleans()))
def test_the_pause_grows_with_the_failures_since_the_last_success(outcomes: list[bool]) -> None:
    bench = Bench()
    retry = Retry(bench.context, "not done yet", "again", Due(), backoff=FIXED)
    row = 0
    for well in outcomes:
        if well:
            retry.succeeded()
            row = 0
        else:
            retry.failed(TimeoutError())
            row += 1
            assert bench.timers["again"][0] <= FIXED.ceiling(row)
        assert retry.failing == (retry.trouble is not None) == (row > 0)
