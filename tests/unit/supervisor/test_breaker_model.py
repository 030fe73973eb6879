"""A circuit breaker whose caller has several calls under way, against a model that remembers everything."""

import math

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisor.breaker import Breaker, BreakerState, Consecutive, FailureRate, Trip
from supervisor.window import BUCKETS, Window

PAUSE_S, SPAN_S = 30.0, 80.0


class BreakerModel(RuleBasedStateMachine):
    """``calls``: under way, each as the ``opened`` it began with; ``since``: every outcome since it was last closed.

    ``until``: when the pause ends, None while closed; ``probe``: whether one is under way.
    """

    @initialize(
        trip=st.one_of(
            st.builds(Consecutive, st.integers(1, 4)),
            st.builds(FailureRate, threshold=st.sampled_from([0.25, 0.5, 1.0]), minimum=st.integers(1, 6)),
        )
    )
    def begin(self, trip: Trip) -> None:
        self.trip = trip
        self.breaker = Breaker(trip=trip, pause_s=PAUSE_S, window=Window(span_s=SPAN_S))
        self.now = 0.0
        self.calls: list[int] = []
        self.since: list[tuple[float, bool]] = []
        self.until: float | None = None
        self.probe = False
        self.opened = 0

    # -- what can happen --

    @rule(seconds=st.sampled_from([0.0, 0.5, 8.0, 15.0, 30.0, 80.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(number=st.integers(1, 6))
    def calls_are_wanted(self, number: int) -> None:
        """The breaker lets through what it lets through, and the model agrees."""
        for _ in range(number):
            expected = self.until is None or (not self.probe and self.now >= self.until)
            assert self.breaker.ready(self.now) == expected
            if not expected:
                return
            self.probe = self.until is not None
            self.breaker = self.breaker.attempt()
            self.calls.append(self.breaker.opened)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), outcome=st.sampled_from(["failure", "failure", "success", "nothing"]))
    def a_call_ends(self, data: st.DataObject, outcome: str) -> None:
        call = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        if call != self.breaker.opened:
            return
        match outcome:
            case "failure":
                self.breaker = self.breaker.failure(self.now)
                self.failed()
            case "success":
                self.breaker = self.breaker.success(self.now)
                self.succeeded()
            case _:
                self.breaker = self.breaker.abandon()
                self.probe = False

    @rule(really=st.sampled_from([True, False, False, False, False]))
    def somebody_resets_it(self, really: bool) -> None:
        if really and not self.probe:
            self.breaker = self.breaker.reset()
            self.since, self.until = [], None

    # -- what the model thinks of it --

    def failed(self) -> None:
        if self.until is not None and not self.probe:
            return
        self.since.append((self.now, True))
        if self.probe or self.trips():
            self.opened += 1
            self.until = self.now + PAUSE_S
        self.probe = False

    def succeeded(self) -> None:
        if self.until is not None and not self.probe:
            return
        if self.probe:
            self.since, self.until, self.probe = [], None, False
        else:
            self.since.append((self.now, False))

    def trips(self) -> bool:
        match self.trip:
            case Consecutive(limit=limit):
                return len(self.since) >= limit and all(failed for _, failed in self.since[-limit:])
            case FailureRate(threshold=threshold, minimum=minimum):
                recent = self.recent()
                return len(recent) >= minimum and sum(recent) >= threshold * len(recent)

    def recent(self) -> list[bool]:
        """The window slides in steps: what fell into the present step and the nine before."""
        step = SPAN_S / BUCKETS
        first = math.floor(self.now / step) - BUCKETS + 1
        return [failed for at, failed in self.since if math.floor(at / step) >= first]

    # -- what always holds --

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "breaker"):
            return
        expected = BreakerState.CLOSED
        if self.until is not None:
            expected = BreakerState.HALF_OPEN if self.probe else BreakerState.OPEN
        shown = self.breaker.snapshot(self.now)
        assert (shown.state, shown.opened) == (expected, self.opened)
        assert shown.calls == len(self.recent())
        assert shown.failure_rate == (sum(self.recent()) / len(self.recent()) if self.recent() else 0.0)
        waiting = self.until is not None and not self.probe
        assert shown.retry_in_s == (max(0.0, (self.until or 0.0) - self.now) if waiting else 0.0)
        assert len(self.breaker.window.buckets) <= BUCKETS


TestBreaker = BreakerModel.TestCase
TestBreaker.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
