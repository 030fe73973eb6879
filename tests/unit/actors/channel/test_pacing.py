"""Pacing rule by rule, then against a model that keeps a list of all that was sent."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.channel.life import Now
from actors.channel.pacing import LONGEST_HOLD_S, OFF, Candidate, Hold, Pacing, PacingPolicy, Stop
from protocol.ledger import Sendings
from protocol.subjects import Priority

ZONE = ZoneInfo("America/Sao_Paulo")
NOON = datetime(2026, 3, 10, 12, tzinfo=ZONE)
POLICY = PacingPolicy(warm_up=(), burst=1000)
NORMAL, HIGH = Candidate(Priority.NORMAL), Candidate(Priority.HIGH)
NEW, NEW_HIGH = replace(NORMAL, new=True), replace(HIGH, new=True)
REPLY = Candidate(Priority.BULK, favoured=True)


def at(local: datetime) -> Now:
    wall = local.astimezone(UTC)
    return Now(wall, (wall - NOON).total_seconds())


def after(seconds: float) -> Now:
    return at(NOON + timedelta(seconds=seconds))


def clock(hour: int, minute: int = 0) -> Now:
    return at(NOON.replace(hour=hour, minute=minute))


def pacing(now: Now | None = None, **policy: object) -> Pacing:
    return Pacing(replace(POLICY, **policy), now or at(NOON))  # type: ignore[arg-type]  # a test's settings


def admitted(pace: Pacing, candidate: Candidate, now: Now, most: int = 1000) -> int:
    """How many of these go, one after another."""
    return next((count for count in range(most) if pace.admit(candidate, now) is not None), most)


def test_the_bucket_lets_a_burst_through_and_then_so_many_a_minute() -> None:
    pace = pacing(burst=5, per_minute=20)
    assert admitted(pace, NORMAL, after(0)) == 5
    assert pace.admit(HIGH, after(0)) == Stop(3.0)
    assert [admitted(pace, NORMAL, after(seconds)) for seconds in (2.9, 3.0, 9.0, 1000.0)] == [0, 1, 2, 5]


def test_a_day_has_its_cap_for_everything_and_a_new_day_begins_at_the_clinics_midnight() -> None:
    pace = pacing(per_day=3)
    assert admitted(pace, NORMAL, at(NOON)) == 3
    for candidate in (NORMAL, HIGH, REPLY):
        assert isinstance(pace.admit(candidate, at(NOON)), Stop)
    assert pace.admit(HIGH, clock(23, 59)) is not None
    assert admitted(pace, HIGH, at(NOON.replace(hour=0) + timedelta(days=1))) == 3


def test_a_wait_until_midnight_is_looked_at_again_in_between() -> None:
    pace = pacing(per_day=0)
    assert pace.admit(NORMAL, at(NOON)) == Stop(LONGEST_HOLD_S)
    assert pace.admit(NORMAL, clock(23, 59)) == Stop(60.0)


def test_new_contacts_have_their_own_cap_which_high_priority_passes_and_counts_for() -> None:
    pace = pacing(new_per_day=3)
    assert admitted(pace, NEW_HIGH, at(NOON), 2) == 2
    assert admitted(pace, NEW, at(NOON)) == 1
    assert isinstance(pace.admit(NEW, at(NOON)), Hold)
    assert pace.admit(NORMAL, at(NOON)) is None
    assert pace.admit(NEW_HIGH, at(NOON)) is None
    assert pace.counts(at(NOON)).new_today == 4


def test_a_new_number_is_warmed_up() -> None:
    before = at(NOON - timedelta(days=9))
    pace = pacing(before, warm_up=(2, 4))
    assert admitted(pace, NORMAL, before) == 2, "nothing was sent after all"
    assert admitted(pace, NORMAL, at(NOON)) == 2, "its first day ever"
    pace.sent(at(NOON))
    day = timedelta(days=1)
    assert admitted(pace, NORMAL, at(NOON + day)) == 4
    assert admitted(pace, NORMAL, at(NOON + 2 * day)) == POLICY.per_day


def test_while_it_warms_up_at_most_half_are_new_contacts() -> None:
    pace = pacing(warm_up=(10,))
    assert admitted(pace, NEW, at(NOON)) == 5
    assert admitted(pace, NORMAL, at(NOON)) == 5


@pytest.mark.parametrize(
    ("begin", "end", "now", "wait_s"),
    [
        (time(21), time(8), clock(20, 59), None),
        (time(21), time(8), clock(21), 11 * 3600),
        (time(21), time(8), clock(7, 50), 600),
        (time(21), time(8), clock(8), None),
        (time(12), time(14), clock(13, 59), 60),
        (time(12), time(14), clock(14), None),
        (time(9), time(9), clock(9), None),
    ],
)
def test_in_quiet_hours_only_high_priority_and_replies_go(
    begin: time, end: time, now: Now, wait_s: float | None
) -> None:
    pace = pacing(now, quiet_from=begin, quiet_until=end)
    expected = None if wait_s is None else Hold(min(wait_s, LONGEST_HOLD_S))
    assert pace.admit(NORMAL, now) == expected
    assert pace.admit(replace(NORMAL, priority=Priority.BULK), now) == expected
    assert pace.admit(HIGH, now) is None
    assert pace.admit(REPLY, now) is None


def test_quiet_hours_are_the_clinics() -> None:
    now = datetime(2026, 3, 10, 23, tzinfo=UTC)
    night = {"quiet_from": time(21), "quiet_until": time(8)}
    here, there = (pacing(Now(now, 0.0), zone=zone, **night) for zone in ("America/Sao_Paulo", "Europe/Lisbon"))
    assert here.admit(NORMAL, Now(now, 0.0)) is None, "20:00 there"
    assert isinstance(there.admit(NORMAL, Now(now, 0.0)), Hold)


def test_a_restriction_holds_new_contacts_alone_and_whatever_their_priority() -> None:
    pace = pacing()
    pace.restrict(at(NOON))
    for candidate in (NEW, NEW_HIGH):
        assert isinstance(pace.admit(candidate, at(NOON)), Hold)
    for candidate in (NORMAL, HIGH, REPLY):
        assert pace.admit(candidate, at(NOON)) is None
    until = NOON + timedelta(hours=6)
    assert pace.counts(at(NOON)).restricted_until == until
    assert pace.admit(NEW_HIGH, at(until)) is None
    assert pace.counts(at(until)).restricted_until is None


def test_a_restart_gives_no_second_allowance() -> None:
    pace = pacing(burst=5, per_day=10, new_per_day=4)
    pace.restore(Sendings(last_minute=3, today=8, new_today=3, first=NOON - timedelta(days=60)), at(NOON))
    assert admitted(pace, NEW, at(NOON)) == 1
    assert admitted(pace, NORMAL, at(NOON)) == 1
    counts = pace.counts(at(NOON))
    assert (counts.sent_today, counts.new_today, counts.tokens) == (10, 4, 0.0)
    assert pace.day(at(NOON)) == NOON.replace(hour=0)


def test_nor_does_it_begin_the_warm_up_anew() -> None:
    pace = pacing(warm_up=(1, 2, 3))
    pace.restore(Sendings(first=NOON - timedelta(days=2)), at(NOON))
    assert admitted(pace, NORMAL, at(NOON)) == 3


def test_what_sent_nothing_is_given_back() -> None:
    pace = pacing(burst=2, per_day=2, new_per_day=1)
    assert pace.admit(NEW, at(NOON)) is None
    pace.give_back(new=True)
    counts = pace.counts(at(NOON))
    assert (counts.sent_today, counts.new_today, counts.tokens) == (0, 0, 2.0)
    pace.give_back(new=True)
    assert pace.counts(at(NOON)).sent_today == 0


def test_other_rules_hold_at_once_and_what_was_counted_stays_counted() -> None:
    pace = pacing()
    assert admitted(pace, NORMAL, at(NOON), 5) == 5
    pace.configure(replace(POLICY, per_day=5))
    assert isinstance(pace.admit(NORMAL, at(NOON)), Stop)
    pace.configure(replace(POLICY, per_day=6))
    assert admitted(pace, NORMAL, at(NOON)) == 1


def test_switched_off_it_counts_and_holds_nobody() -> None:
    pace = Pacing(OFF, at(NOON))
    assert admitted(pace, NEW, clock(23), 500) == 500
    assert pace.counts(clock(23)).sent_today == 500
    pace.restrict(clock(23))
    assert isinstance(pace.admit(NEW, clock(23)), Hold), "but whom WhatsApp refuses"


def test_what_was_sent_while_it_was_off_is_not_owed_when_it_is_switched_on() -> None:
    pace = Pacing(OFF, at(NOON))
    assert admitted(pace, NORMAL, at(NOON), 100) == 100
    pace.configure(replace(POLICY, burst=5, per_minute=20))
    assert pace.admit(NORMAL, at(NOON)) == Stop(3.0)
    assert pace.admit(NORMAL, after(3.0)) is None


def test_a_clock_that_is_set_back_gives_nothing_new() -> None:
    pace = pacing(per_day=3)
    assert admitted(pace, NORMAL, at(NOON)) == 3
    assert isinstance(pace.admit(NORMAL, at(NOON - timedelta(days=3))), Stop)
    assert isinstance(pace.admit(NORMAL, at(NOON)), Stop)


def test_typing_is_in_proportion_to_the_text_and_bounded() -> None:
    policy = replace(POLICY, typing_per_s=10.0, typing_most_s=5.0)
    assert [policy.typing(text) for text in ("x" * 20, "x" * 1000, "", None)] == [2.0, 5.0, 0.0, 0.0]
    assert POLICY.typing("Olá") == 0.0
    assert replace(policy, enabled=False).typing("Olá") == 0.0


@dataclass(frozen=True)
class Sent:
    at: Now
    candidate: Candidate


class PacingModel(RuleBasedStateMachine):
    """``sent``: all that was let go and sent. Restarts restore from it as the ledger would."""

    @initialize(
        burst=st.integers(1, 5),
        per_minute=st.floats(1, 60),
        per_day=st.integers(0, 30),
        new_per_day=st.integers(0, 10),
        warm_up=st.lists(st.integers(0, 20), max_size=4),
        quiet=st.tuples(st.integers(0, 23), st.integers(0, 23)),
    )
    def begin(
        self,
        burst: int,
        per_minute: float,
        per_day: int,
        new_per_day: int,
        warm_up: list[int],
        quiet: tuple[int, int],
    ) -> None:
        self.policy = PacingPolicy(
            burst=burst,
            per_minute=per_minute,
            per_day=per_day,
            new_per_day=new_per_day,
            warm_up=tuple(warm_up),
            quiet_from=time(quiet[0]),
            quiet_until=time(quiet[1]),
            restriction_s=7200.0,
        )
        self.seconds = 0.0
        self.pace = Pacing(self.policy, self.now)
        self.sent: list[Sent] = []
        self.restricted_until: datetime | None = None

    @property
    def now(self) -> Now:
        return after(self.seconds)

    @rule(
        priority=st.sampled_from(list(Priority)),
        kind=st.sampled_from(["known", "new", "reply"]),
        outcome=st.sampled_from(["sent", "sent", "nothing"]),
        times=st.integers(1, 10),
    )
    def commands_go(self, priority: Priority, kind: str, outcome: str, times: int) -> None:
        candidate = Candidate(priority, new=kind == "new", favoured=kind == "reply")
        for _ in range(times):
            refusal = self.pace.admit(candidate, self.now)
            if refusal is not None:
                assert 0 < refusal.seconds <= LONGEST_HOLD_S
                return
            self.check(candidate)
            if outcome == "sent":
                self.pace.sent(self.now)
                self.sent.append(Sent(self.now, candidate))
            else:
                self.pace.give_back(new=candidate.new)

    def check(self, candidate: Candidate) -> None:
        """It was let go: was it right?"""
        local = self.now.wall.astimezone(ZONE)
        today = [sent for sent in self.sent if sent.at.wall.astimezone(ZONE).date() == local.date()]
        assert len(today) < self.policy.per_day
        first = self.sent[0].at.wall.astimezone(ZONE).date() if self.sent else local.date()
        age = (local.date() - first).days
        if age < len(self.policy.warm_up):
            assert len(today) < self.policy.warm_up[age]
        high = candidate.priority is Priority.HIGH or candidate.favoured
        if candidate.new and not high:
            assert sum(sent.candidate.new for sent in today) < self.policy.new_per_day
        begin, end, clock = self.policy.quiet_from, self.policy.quiet_until, local.time()
        quiet = begin <= clock < end if begin <= end else clock >= begin or clock < end
        assert high or not quiet
        if candidate.new and self.restricted_until is not None:
            assert self.now.wall >= self.restricted_until

    @rule(seconds=st.one_of(st.floats(0, 120), st.floats(0, 90_000)))
    def time_passes(self, seconds: float) -> None:
        self.seconds = round(self.seconds + seconds, 3)

    @rule()
    def whatsapp_restricts_the_number(self) -> None:
        self.pace.restrict(self.now)
        self.restricted_until = self.now.after(self.policy.restriction_s)

    @rule()
    def the_channel_starts_again(self) -> None:
        """A restriction is not kept: WhatsApp says it again."""
        self.pace = Pacing(self.policy, self.now)
        day, minute = self.pace.day(self.now), self.now.wall - timedelta(minutes=1)
        today = [sent for sent in self.sent if sent.at.wall >= day]
        self.pace.restore(
            Sendings(
                last_minute=sum(sent.at.wall >= minute for sent in self.sent),
                today=len(today),
                new_today=sum(sent.candidate.new for sent in today),
                first=self.sent[0].at.wall if self.sent else None,
            ),
            self.now,
        )
        self.restricted_until = None

    @invariant()
    def no_minute_has_more_than_the_bucket_gives(self) -> None:
        if not hasattr(self, "sent") or not self.sent:
            return
        newest = self.sent[-1].at.mono
        minute = [sent for sent in self.sent if sent.at.mono > newest - 60.0]
        assert len(minute) <= self.policy.burst + self.policy.per_minute + 1e-6


TestPacing = PacingModel.TestCase
TestPacing.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
