"""The outbox against a model: per chat and priority a plain list, of which only the head may be out."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.channel.outbox import Again, Ended, Outbox, OutboxPolicy
from protocol.codes import ErrorCode, Permanence
from protocol.port import Failed, Sent
from protocol.subjects import Priority
from tests.unit.actors.channel.commands import AT, accepted

CHATS = ["5511900000001", "5511900000002", "5511900000003"]
Lane = tuple[str, Priority]


@dataclass
class Known:
    """A command as the model sees it. ``spent``: attempts that cost one."""

    id: str
    lane: Lane
    on_uncertain: str | None
    expires_s: int | None
    spent: int = 0
    not_before: float = 0.0


class OutboxModel(RuleBasedStateMachine):
    """``lanes``: what is to be sent, in order; ``out``: what is with the port; ``ended``: what is final."""

    @initialize(window=st.integers(1, 8), in_flight=st.integers(1, 4), attempts=st.integers(1, 4))
    def begin(self, window: int, in_flight: int, attempts: int) -> None:
        self.policy = OutboxPolicy(window=window, in_flight=in_flight, attempts=attempts)
        self.box = Outbox(self.policy)
        self.random = Random(1)
        self.now = 0.0
        self.count = 0
        self.lanes: dict[Lane, list[Known]] = defaultdict(list)
        self.out: dict[str, Known] = {}
        self.ended: set[str] = set()

    @rule(
        to=st.sampled_from(CHATS),
        priority=st.sampled_from(list(Priority)),
        on_uncertain=st.sampled_from([None, "hold", "resend"]),
        expires_s=st.sampled_from([None, None, 5, 50]),
        number=st.integers(1, 3),
    )
    def commands_come(
        self, to: str, priority: Priority, on_uncertain: str | None, expires_s: int | None, number: int
    ) -> None:
        for _ in range(min(number, self.box.room)):
            self.count += 1
            known = Known(str(self.count), (to, priority), on_uncertain, expires_s)
            at = None
            if expires_s is not None:
                known.expires_s = int(expires_s + self.now)
                at = AT + timedelta(seconds=known.expires_s)
            self.box.add([accepted(known.id, to, priority=priority, on_uncertain=on_uncertain, expires_at=at)])
            self.lanes[known.lane].append(known)

    @rule(most=st.sampled_from([0, 1, 1000]))
    def commands_go(self, most: int) -> None:
        """As the channel does: first what has expired is taken out."""
        self.expire()
        free = self.policy.in_flight - len(self.out)
        for taken in self.box.take(self.now, most):
            known = self.lanes[taken.command.to, taken.priority].pop(0)
            assert known.id == taken.command.id, "in order"
            assert known.not_before <= self.now, "not before its time"
            assert known.expires_s is None or self.now < known.expires_s, "never after it expired"
            assert all(other.lane[0] != known.lane[0] for other in self.out.values()), "one at a time in a chat"
            assert taken.attempts == known.spent + 1 <= self.policy.attempts
            self.out[known.id] = known
        taken_now = free - (self.policy.in_flight - len(self.out))
        assert 0 <= taken_now <= min(free, most)
        if len(self.out) < self.policy.in_flight and taken_now < most:
            busy = {known.lane[0] for known in self.out.values()}
            for (chat, _), waiting in self.lanes.items():
                assert chat in busy or not waiting or waiting[0].not_before > self.now, "nobody is held up by others"

    def expire(self) -> None:
        for ended in self.box.expire(AT + timedelta(seconds=self.now)):
            lane = self.lanes[ended.accepted.command.to, ended.accepted.priority]
            (known,) = [known for known in lane if known.id == ended.accepted.command.id]
            assert known.expires_s is not None
            assert known.expires_s <= self.now
            assert ended.status == "expired"
            lane.remove(known)
            self.end(known.id)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), code=st.sampled_from([None, *ErrorCode]))
    def an_answer_comes(self, data: st.DataObject, code: ErrorCode | None) -> None:
        known = self.out.pop(data.draw(st.sampled_from(sorted(self.out))))
        answer = Sent(wa_id="WA", at=AT) if code is None else Failed(code=code.value, message="")
        settled = self.box.settle(known.id, answer, self.now, self.random)
        assert settled is not None
        assert settled.accepted.command.id == known.id
        unknown = code is not None and code.permanence is Permanence.UNKNOWN
        if code is not None and code.permanence is not Permanence.NOT_CONNECTED:
            known.spent += 1
        if code is None:
            expected = "sent"
        elif code.permanence is Permanence.PERMANENT:
            expected = "failed"
        elif unknown and known.on_uncertain == "hold":
            expected = "held"
        elif code.permanence is not Permanence.NOT_CONNECTED and known.spent == self.policy.attempts:
            expected = "failed"
        else:
            assert isinstance(settled, Again)
            assert settled.nothing_sent == (not unknown)
            known.not_before = self.now + settled.delay_s
            self.lanes[known.lane].insert(0, known)
            return
        assert isinstance(settled, Ended)
        assert settled.status == expected
        self.end(known.id)

    @rule(id=st.integers(1, 30).map(str), code=st.sampled_from(list(ErrorCode)))
    def an_answer_comes_for_what_is_not_out(self, id: str, code: ErrorCode) -> None:
        if id not in self.out:
            assert self.box.settle(id, Failed(code=code.value, message=""), self.now, self.random) is None

    @rule(seconds=st.floats(0.0, 30.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.box.wait(self.now) is not None)
    @rule()
    def time_passes_until_something_is_due(self) -> None:
        self.now += self.box.wait(self.now) or 0.0

    def end(self, id: str) -> None:
        assert id not in self.ended, "ended once"
        self.ended.add(id)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        waiting = sum(len(lane) for lane in self.lanes.values())
        assert len(self.box) == waiting + len(self.out)
        assert self.box.flying == len(self.out) <= self.policy.in_flight
        assert waiting + len(self.out) + len(self.ended) == self.count
        free = self.policy.window - len(self.box)
        assert self.box.room == (free if free >= self.policy.window // 4 else 0)

    def teardown(self) -> None:
        """With a port that takes everything, all comes to its end."""
        if not hasattr(self, "box"):
            return
        for _ in range(10 * self.count + 10):
            self.now += 100.0
            self.commands_go(most=1000)
            for key in sorted(self.out):
                ended = self.box.settle(key, Sent(wa_id="WA", at=AT), self.now, self.random)
                assert isinstance(ended, Ended)
                del self.out[key]
                self.end(key)
        assert len(self.box) == 0
        assert len(self.ended) == self.count


TestOutbox = OutboxModel.TestCase
TestOutbox.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
