"""A supervisor, or a child, in the moment of its end: nobody waits for ever, and nobody else is harmed."""

import threading
from typing import Any

from pykka import ActorRef

from supervisor.actor import Actor, Link, NoAnswerError, ShutDown, kill, tell
from supervisor.client import terminate_child, which_children
from supervisor.reasons import Killed, Shutdown
from supervisor.spec import ChildSpec
from tests.fakes.parent import PATIENCE_S, taken, until
from tests.fakes.steady_child import SteadyChild
from tests.fakes.stuck_child import Hang, StuckChild, Trap
from tests.unit.supervisor.house import House


class Undecided(Actor):
    """Finds out in its own time that it is not to be."""

    def __init__(self, link: Link, begun: threading.Event, go_on: threading.Event) -> None:
        super().__init__(link)
        self._begun, self._go_on = begun, go_on

    def initialize(self) -> bool:
        self._begun.set()
        assert self._go_on.wait(PATIENCE_S)
        self.ignore()
        return False


class Clumsy(StuckChild):
    """Fails at what came too late."""

    def dropped(self, message: Any) -> None:
        raise RuntimeError(f"no idea what to do with {message}")


def test_a_child_that_is_not_to_be_after_all_holds_up_no_end(house: House) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ref = house.start(ChildSpec(id="a", start=lambda link: Undecided.start(link, begun, go_on), shutdown=PATIENCE_S))
    assert begun.wait(PATIENCE_S)
    tell(ref, ShutDown())
    go_on.set()
    assert house.parent.wait_exit() == Shutdown()


def test_who_waits_for_a_supervisor_hears_of_its_being_killed(house: House) -> None:
    ref = house.up(ChildSpec(id="stuck", start=lambda link: StuckChild.start(link, house.trap)))
    tell(stuck_of(house), Hang())
    assert house.trap.entered.wait(PATIENCE_S)
    stopping = house.asked(terminate_child, "stuck")
    waiting = house.asked(which_children)
    kill(ref, "enough")
    for answers in (stopping, waiting):
        answer = taken(answers, "no answer")
        assert isinstance(answer, NoAnswerError)
        assert answer.reason == Killed("enough")
    assert stopping.empty()
    assert waiting.empty()


def test_a_hung_child_that_fails_at_what_it_never_read_harms_no_other(house: House) -> None:
    trap = Trap()
    clumsy = ChildSpec(id="clumsy", start=lambda link: Clumsy.start(link, trap), hang_s=0.5)
    steady = ChildSpec(id="steady", start=lambda link: SteadyChild.start(link, "steady", house.story))
    house.up(steady, clumsy)
    before = house.children()
    ref = before["clumsy"].ref
    assert ref is not None
    tell(ref, Hang())
    tell(ref, "never read")
    assert trap.entered.wait(PATIENCE_S)
    until(lambda: house.children()["clumsy"].incarnation == 2)
    assert house.children()["steady"] == before["steady"]
    trap.let_go.set()


def stuck_of(house: House) -> ActorRef[Any]:
    ref = house.children()["stuck"].ref
    assert ref is not None
    return ref
