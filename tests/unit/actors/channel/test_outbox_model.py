"""The outbox against a model: per chat and priority a plain list, of whose chat only one command may be away."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.channel.expiry import GRACE
from actors.channel.lines import PATIENCE
from actors.channel.outbox import Outbox, OutboxPolicy
from actors.channel.pacing import Hold, Stop
from actors.channel.parcel import Again, Doubted, Ended, Parcel
from protocol.codes import ErrorCode, Permanence
from protocol.port import Failed, Sent
from protocol.subjects import Priority
from tests.unit.actors.channel.commands import AT, accepted, at

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
    """``lanes``: what is to be sent, in order; ``out``: what is with the port; ``doubts``; ``ended``: what is final."""

    @initialize(window=st.integers(1, 8), in_flight=st.integers(1, 4), attempts=st.integers(1, 4))
    def begin(self, window: int, in_flight: int, attempts: int) -> None:
        self.policy = OutboxPolicy(window=window, in_flight=in_flight, attempts=attempts, backlog=20)
        self.box = Outbox(self.policy)
        self.random = Random(1)
        self.now = 0.0
        self.count = 0
        self.lanes: dict[Lane, list[Known]] = defaultdict(list)
        self.out: dict[str, Known] = {}
        self.doubts: dict[str, Known] = {}
        self.ended: set[str] = set()
        self.held: dict[str, float] = {}

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
            expires = None
            if expires_s is not None:
                known.expires_s = int(expires_s + self.now)
                expires = AT + timedelta(seconds=known.expires_s)
            command = accepted(known.id, to, priority=priority, on_uncertain=on_uncertain, expires_at=expires)
            self.box.add([command], at(self.now))
            self.lanes[known.lane].append(known)

    @rule(most=st.sampled_from([0, 1, 1000]))
    def commands_go(self, most: int) -> None:
        """As the channel does: first what has expired is taken out."""
        self.expire()
        free = self.policy.in_flight - len(self.out)
        taken_now = self.take(most)
        assert taken_now <= min(free, most)
        if len(self.out) < self.policy.in_flight and taken_now < most:
            busy = {known.lane[0] for known in (*self.out.values(), *self.doubts.values())}
            for (chat, _), waiting in self.lanes.items():
                assert chat in busy or not waiting or waiting[0].not_before > self.now, "nobody is held up by others"

    def take(self, most: int) -> int:
        taken = self.box.take(at(self.now), most, self.pace)
        for parcel in taken:
            parcel.begin(parcel.id.encode() * 32)
            known = self.lanes[parcel.command.to, parcel.priority].pop(0)
            assert known.id == parcel.id, "in order"
            assert known.not_before <= self.now, "not before its time"
            assert known.expires_s is None or self.now < known.expires_s, "never after it expired"
            away = (*self.out.values(), *self.doubts.values())
            assert all(other.lane[0] != known.lane[0] for other in away), "one at a time in a chat"
            assert parcel.attempts == known.spent + 1 <= self.policy.attempts
            self.out[known.id] = known
        return len(taken)

    def pace(self, parcel: Parcel, _: object) -> Hold | Stop | None:
        until = self.held.pop(parcel.command.to, None)
        if until is None or until <= self.now:
            return None
        self.lanes[parcel.command.to, parcel.priority][0].not_before = until
        return Hold(until - self.now)

    @rule(to=st.sampled_from(CHATS), seconds=st.floats(1.0, 20.0))
    def pacing_will_hold(self, to: str, seconds: float) -> None:
        self.held[to] = self.now + seconds

    def expire(self) -> None:
        """One in doubt is given a while longer."""
        for ended in self.box.sweep(at(self.now)):
            lane, grace_s = self.lanes[ended.parcel.command.to, ended.parcel.priority], 0.0
            known = self.doubts.pop(ended.parcel.id, None)
            if known is None:
                (known,) = [known for known in lane if known.id == ended.parcel.id]
                lane.remove(known)
            else:
                grace_s = GRACE.total_seconds()
            assert known.expires_s is not None
            assert known.expires_s + grace_s <= self.now
            assert ended.status == "expired"
            self.end(known.id)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), code=st.sampled_from([None, *ErrorCode]))
    def an_answer_comes(self, data: st.DataObject, code: ErrorCode | None) -> None:
        known = self.out.pop(data.draw(st.sampled_from(sorted(self.out))))
        answer = Sent(wa_id="WA", at=AT) if code is None else Failed(code=code.value, message="")
        settled = self.box.settle(self.parcel(known.id), answer, at(self.now), self.random)
        permanence = code.permanence if code is not None else None
        if permanence in (Permanence.TRANSIENT, Permanence.UNKNOWN):
            known.spent += 1
        match permanence:
            case None | Permanence.PERMANENT:
                assert isinstance(settled, Ended)
                expired = code is ErrorCode.EXPIRED
                assert settled.status == ("sent" if code is None else "expired" if expired else "failed")
                self.end(known.id)
            case Permanence.UNKNOWN:
                assert isinstance(settled, Doubted)
                self.doubts[known.id] = known
            case Permanence.TRANSIENT if known.spent == self.policy.attempts:
                assert isinstance(settled, Ended)
                assert settled.status == "failed"
                self.end(known.id)
            case _:
                assert isinstance(settled, Again)
                assert settled.spent == (permanence is Permanence.TRANSIENT)
                self.back(known, settled.delay_s)

    @precondition(lambda self: self.doubts)
    @rule(data=st.data(), finding=st.sampled_from(["absent", "silent", "shown"]))
    def a_doubt_is_resolved(self, data: st.DataObject, finding: str) -> None:
        known = self.doubts.pop(data.draw(st.sampled_from(sorted(self.doubts))))
        parcel = self.parcel(known.id)
        if finding == "absent":
            known.spent -= 1
            self.box.unsent(parcel, at(self.now))
            self.back(known, 0.0)
        elif finding == "shown":
            ended = self.box.shown(known.id, 1, "WA", at(self.now))
            assert ended is not None
            assert ended.status == "sent"
            self.end(known.id)
        else:
            settled = self.box.waited(parcel, at(self.now), "")
            expired = known.expires_s is not None and self.now >= known.expires_s
            used_up = known.spent >= self.policy.attempts
            if known.on_uncertain == "hold" or expired or used_up:
                assert isinstance(settled, Ended)
                held = known.on_uncertain == "hold"
                assert settled.status == ("held" if held else "expired" if expired else "failed")
                self.end(known.id)
            else:
                assert isinstance(settled, Again)
                self.back(known, 0.0)

    def back(self, known: Known, delay_s: float) -> None:
        known.not_before = self.now + delay_s
        self.lanes[known.lane].insert(0, known)

    def parcel(self, id: str) -> Parcel:
        parcel = self.box.find(id)
        assert parcel is not None
        return parcel

    @precondition(lambda self: any(self.lanes.values()))
    @rule(data=st.data())
    def one_is_cancelled(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from([known for lane in self.lanes.values() for known in lane]))
        assert self.box.cancel(self.parcel(known.id), at(self.now)) is not None
        self.lanes[known.lane].remove(known)
        self.end(known.id)

    @rule(seconds=st.floats(0.0, 30.0))
    def time_passes(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 6)

    @precondition(lambda self: self.box.wait(at(self.now)) is not None)
    @rule()
    def time_passes_until_something_is_due(self) -> None:
        self.now = round(self.now + (self.box.wait(at(self.now)) or 0.0) + 1e-6, 6)

    def end(self, id: str) -> None:
        assert id not in self.ended, "ended once"
        self.ended.add(id)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        waiting = sum(len(lane) for lane in self.lanes.values())
        assert len(self.box) == waiting + len(self.out) + len(self.doubts) <= self.policy.backlog
        assert self.box.flying == len(self.out) <= self.policy.in_flight
        assert self.box.doubts == len(self.doubts)
        assert waiting + len(self.out) + len(self.doubts) + len(self.ended) == self.count

    def teardown(self) -> None:
        """With a port that takes everything, all comes to its end."""
        if not hasattr(self, "box"):
            return
        self.held.clear()
        for key in sorted(self.doubts):
            self.box.unsent(self.parcel(key), at(self.now))
            known = self.doubts.pop(key)
            known.spent -= 1
            self.back(known, 0.0)
        for _ in range(10 * self.count + 10):
            self.now += 100.0
            self.commands_go(most=1000)
            for key in sorted(self.out):
                ended = self.box.settle(self.parcel(key), Sent(wa_id="WA", at=AT), at(self.now), self.random)
                assert isinstance(ended, Ended)
                del self.out[key]
                self.end(key)
        assert len(self.box) == 0
        assert len(self.ended) == self.count


TestOutbox = OutboxModel.TestCase
TestOutbox.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


class TurnsModel(RuleBasedStateMachine):
    """Whoever keeps coming, no rank in which somebody is ready is passed over for ever."""

    @initialize()
    def begin(self) -> None:
        self.box = Outbox(OutboxPolicy(in_flight=1))
        self.passed = dict.fromkeys(Priority, 0)
        self.waiting = dict.fromkeys(Priority, 0)
        self.count = 0

    @rule(priority=st.sampled_from(list(Priority)), number=st.integers(1, 30))
    def commands_come(self, priority: Priority, number: int) -> None:
        """Each for a chat of its own, so that all are ready."""
        for _ in range(number):
            self.count += 1
            to = f"55119{self.count:08}"
            self.box.add([accepted(str(self.count), to, priority=priority)], at(0.0))
            self.waiting[priority] += 1

    @rule(number=st.integers(1, 30))
    def commands_go(self, number: int) -> None:
        for _ in range(number):
            for parcel in self.box.take(at(0.0), 1):
                parcel.begin(b"secret")
                self.box.settle(parcel, Sent(wa_id="WA", at=AT), at(0.0), Random(1))
                self.waiting[parcel.priority] -= 1
                for rank in Priority:
                    self.passed[rank] += 1
                    if rank is parcel.priority or not self.waiting[rank]:
                        self.passed[rank] = 0
                    assert self.passed[rank] <= PATIENCE + 1


TestTurns = TurnsModel.TestCase
TestTurns.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
