import threading
from collections.abc import Callable
from typing import Any

from pykka import ActorRef

from supervisor.actor import Actor, Link, ShutDown, kill, of, tell
from supervisor.names import Name, Names
from supervisor.reasons import Killed, Shutdown
from tests.fakes.parent import PATIENCE_S, Parent
from tests.fakes.steady_child import SteadyChild


class Named(Actor):
    """Calls ``look`` when it begins."""

    def __init__(self, link: Link, name: Name, look: Callable[[], None]) -> None:
        super().__init__(link, name)
        self._look = look

    def initialize(self) -> bool:
        self._look()
        return True


class SlowNames(Names):
    """Whoever takes a name here is held until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def register(self, name: str, ref: ActorRef[Any]) -> None:
        self.entered.set()
        assert self.go_on.wait(PATIENCE_S)
        super().register(name, ref)


def end(parent: Parent) -> None:
    assert parent.wait_exit() == Shutdown()


def test_a_name_leads_to_the_actor_that_has_it_and_to_nobody_else() -> None:
    names, parent = Names(), Parent()
    ref = SteadyChild.start(parent.link)
    names.register("b", ref)
    names.register("a", ref)
    assert names.whereis("b") == ref
    assert names.whereis("c") is None
    assert names.all() == ["a", "b"]
    names.unregister("b", ref)
    assert names.whereis("b") is None
    tell(ref, ShutDown())
    end(parent)


def test_a_later_incarnation_replaces_an_earlier_one_whose_end_then_changes_nothing() -> None:
    names, first, second = Names(), Parent(), Parent()
    old, new = SteadyChild.start(first.link), SteadyChild.start(second.link)
    names.register("a", old)
    names.register("a", new)
    names.unregister("a", old)
    assert names.whereis("a") == new
    for ref, parent in ((old, first), (new, second)):
        tell(ref, ShutDown())
        end(parent)


def test_an_actor_can_be_found_by_its_name_before_its_first_message_and_not_after_its_end() -> None:
    names, parent = Names(), Parent()
    found = threading.Event()

    def look() -> None:
        if names.whereis("me") is not None:
            found.set()

    ref = Named.start(parent.link, names.name("me"), look)
    parent.wait_started()
    assert found.is_set()
    assert names.whereis("me") == ref
    tell(ref, ShutDown())
    end(parent)
    assert names.all() == []


def test_a_killed_actor_has_given_its_name_back_when_its_end_is_reported() -> None:
    names, parent = Names(), Parent()
    ref = Named.start(parent.link, names.name("me"), lambda: None)
    parent.wait_started()
    kill(ref, "enough")
    assert names.whereis("me") is None
    assert parent.wait_exit() == Killed("enough")


def test_an_actor_killed_while_it_takes_its_name_does_not_keep_it() -> None:
    names, parent = SlowNames(), Parent()
    ref = Named.start(parent.link, names.name("me"), lambda: None)
    assert names.entered.wait(PATIENCE_S)
    kill(ref, "enough")
    assert parent.wait_exit() == Killed("enough")
    names.go_on.set()
    of(ref).actor_stopped.wait(PATIENCE_S)
    for thread in threading.enumerate():
        if thread.name.startswith("Named"):
            thread.join(PATIENCE_S)
    assert names.whereis("me") is None
