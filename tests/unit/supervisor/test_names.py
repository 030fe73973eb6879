import threading

from supervisor.actor import ShutDown, tell
from supervisor.names import Names
from supervisor.reasons import Shutdown
from tests.fakes.parent import Parent
from tests.fakes.steady_child import SteadyChild
from tests.unit.supervisor.test_actor import Named


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
