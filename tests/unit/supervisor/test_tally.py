"""The tally, and what a supervisor reports to it."""

import threading
from collections.abc import Iterator

import pytest
from pykka import ActorRef

from supervisor.actor import Actor, Link, ShutDown, tell
from supervisor.api import Done
from supervisor.client import start_child, terminate_child, which_children
from supervisor.reasons import Crash, ExitReason, Killed, Normal, Shutdown
from supervisor.shell import Supervisor
from supervisor.snapshot import tree
from supervisor.spec import ChildSpec, Flags, Restart
from supervisor.tally import Ending, Role, Tally, Totals
from tests.fakes.parent import Parent

ROLE = Role("worker", "here")


class Child(Actor):
    """Ends by itself for the reason that it is told; hangs, until the test lets it go, when told an event."""

    def handle(self, message: ExitReason | threading.Event) -> None:
        if isinstance(message, threading.Event):
            assert message.wait(30), "the test forgot to let the child go"
        else:
            self.exit(message)


class Unwanted(Actor):
    def initialize(self) -> bool:
        self.ignore()
        return False


class House:
    """A supervisor with one child, restarted as often as need be."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.parent = Parent()
        self.changed = threading.Condition()
        self.refs: list[ActorRef[Child]] = []
        flags = Flags(intensity=100)
        self.ref = Supervisor.start(self.parent.link, "house", [self.spec()], flags, tally=self.tally)
        self.parent.wait_started()

    def spec(self, id: str = "child", **settings: object) -> ChildSpec:
        return ChildSpec(id=id, start=self._start, role=ROLE, **settings)  # type: ignore[arg-type]

    def _start(self, link: Link) -> ActorRef[Child]:
        ref = Child.start(link)
        with self.changed:
            self.refs.append(ref)
            self.changed.notify_all()
        return ref

    def child(self, number: int) -> ActorRef[Child]:
        """The one that was started as the ``number``-th."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.refs) >= number, 5), "it was not started"
            return self.refs[number - 1]

    def totals(self) -> Totals:
        return self.tally.read()[ROLE]

    def stop(self) -> None:
        tell(self.ref, ShutDown())
        self.parent.wait_exit()


def crash(_answer: object) -> None:
    """As a callback: ends the supervisor that calls it."""
    raise SystemExit


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    if made.ref.is_alive():
        made.stop()


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        (Normal(), Ending.NORMAL),
        (Shutdown("why"), Ending.SHUTDOWN),
        (Killed("why"), Ending.KILLED),
        (Crash(ValueError("why")), Ending.CRASH),
    ],
)
def test_a_restart_and_why_are_counted(house: House, reason: ExitReason, ending: Ending) -> None:
    tell(house.child(1), reason)
    house.child(2)

    assert house.totals() == Totals(starts=2, restarts=1, exits={ending: 1})


def test_counts_outlive_the_supervisor_and_go_on_with_the_next(house: House) -> None:
    tell(house.child(1), Normal())
    house.child(2)
    house.stop()
    assert house.totals() == Totals(starts=2, restarts=1, exits={Ending.NORMAL: 1, Ending.SHUTDOWN: 1})

    again = Parent()
    ref = Supervisor.start(again.link, "house", [house.spec()], tally=house.tally)
    again.wait_started()
    tell(ref, ShutDown())
    again.wait_exit()

    assert house.totals() == Totals(starts=3, restarts=1, exits={Ending.NORMAL: 1, Ending.SHUTDOWN: 2})


def test_children_that_go_with_a_crashed_supervisor_are_counted(house: House) -> None:
    release = threading.Event()
    tell(house.child(1), release)
    which_children(house.ref, crash)
    assert isinstance(house.parent.wait_exit(), Crash)
    release.set()

    assert house.totals().exits == {Ending.KILLED: 1}


def test_a_child_that_could_not_be_started_has_crashed(house: House) -> None:
    def fails(link: Link) -> ActorRef[Child]:
        raise ValueError("no")

    answered = threading.Event()
    spec = ChildSpec(id="other", start=fails, role=ROLE, restart=Restart.TEMPORARY)
    start_child(house.ref, spec, lambda _: answered.set())

    assert answered.wait(5)
    assert house.totals() == Totals(starts=2, exits={Ending.CRASH: 1})


def test_a_child_that_is_not_to_be_has_ended_normally(house: House) -> None:
    answers: list[object] = []
    answered = threading.Event()

    def told(answer: object) -> None:
        answers.append(answer)
        answered.set()

    start_child(house.ref, ChildSpec(id="other", start=Unwanted.start, role=ROLE), told)

    assert answered.wait(5)
    assert isinstance(answers[0], Done)
    assert house.totals() == Totals(starts=2, exits={Ending.NORMAL: 1})


def test_a_hung_child_is_counted_as_such_and_as_killed(house: House) -> None:
    release = threading.Event()
    start_child(house.ref, house.spec("slow", hang_s=0.5))
    tell(house.child(2), release)
    house.child(3)
    release.set()

    assert house.totals() == Totals(starts=3, restarts=1, hung=1, exits={Ending.KILLED: 1})


def test_what_has_no_role_is_not_counted() -> None:
    tally, parent = Tally(), Parent()
    ref = Supervisor.start(parent.link, "house", [ChildSpec(id="child", start=Child.start)], tally=tally)
    parent.wait_started()
    tell(ref, ShutDown())
    parent.wait_exit()

    assert tally.read() == {}


def test_what_was_read_does_not_change(house: House) -> None:
    before = house.tally.read()
    house.tally.exited(ROLE, Normal())
    house.tally.started(ROLE, again=True)

    assert before == {ROLE: Totals(starts=1)}


def test_threads_lose_no_count() -> None:
    tally = Tally()

    def work() -> None:
        for _ in range(1000):
            tally.started(ROLE, again=True)
            tally.exited(ROLE, Normal())
            tally.hung(ROLE)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tally.read()[ROLE] == Totals(starts=4000, restarts=4000, hung=4000, exits={Ending.NORMAL: 4000})


def test_the_snapshot_shows_the_role_and_nothing_of_an_actor_that_is_gone(house: House) -> None:
    start_child(house.ref, house.spec("parked"))
    house.child(2)
    done = threading.Event()
    terminate_child(house.ref, "parked", lambda _: done.set())
    assert done.wait(5)

    child, parked = tree(house.ref).children

    assert child.role == parked.role == ROLE
    assert (parked.phase.value, parked.handled, parked.inbox) == ("down", 0, 0)
