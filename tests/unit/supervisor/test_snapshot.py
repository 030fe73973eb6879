from typing import Any

from supervisor.actor import Actor, Call, kill, tell
from supervisor.api import Phase
from supervisor.client import start_child
from supervisor.reasons import Normal
from supervisor.shell import Supervisor
from supervisor.snapshot import Node, tree
from supervisor.spec import ChildType, Quarantine, Restart
from tests.fakes.parent import PATIENCE_S, Starts, until
from tests.fakes.steady_child import Do
from tests.fakes.stuck_child import Hang, StuckChild
from tests.unit.supervisor.house import House, do_crash, do_exit


class Talkative(Actor):
    """Has something to say of itself."""

    def facts(self) -> dict[str, object]:
        return {"queue": 3}


def names(node: Node) -> dict[str, Any]:
    return {child.id: names(child) for child in node.children}


def test_the_tree_shows_every_actor_in_start_order(house: House) -> None:
    inner = [house.steady(name).spec(name) for name in ("x", "y")]
    nested = Starts(Supervisor.start, "nested", inner)
    ref = house.up(
        house.steady("a").spec("a"), nested.spec("n", type=ChildType.SUPERVISOR), house.steady("b").spec("b")
    )
    root = tree(ref)
    assert names(root) == {"a": {}, "n": {"x": {}, "y": {}}, "b": {}}
    assert (root.id, root.type, root.phase) == ("root", "supervisor", Phase.UP)
    assert [child.type for child in root.children] == ["worker", "supervisor", "worker"]
    assert list(names(root)) == ["a", "n", "b"]


def test_an_actor_is_shown_with_its_restarts_its_last_exit_and_what_it_says_of_itself(house: House) -> None:
    steady, talkative = house.steady("a"), Starts(Talkative.start)
    ref = house.up(steady.spec("a"), talkative.spec("t"))
    tell(steady.next(), Do(do_crash))
    steady.next()
    until(lambda: tree(ref).children[0].phase is Phase.UP)
    first, second = tree(ref).children
    assert (first.incarnation, first.restarts, first.last_exit) == (2, 1, "ValueError: boom")
    assert second.facts == {"queue": 3}
    assert second.handled == 1
    assert second.busy_s == 0.0


def test_a_child_without_process_is_shown_too(house: House) -> None:
    down, parked = house.steady("down"), house.steady("parked")
    ref = house.up(
        down.spec("down", restart=Restart.TRANSIENT),
        parked.spec("parked", quarantine=Quarantine(restarts=0, period_s=60.0)),
    )
    tell(down.next(), Do(do_exit))
    tell(parked.next(), Do(do_crash))
    until(lambda: [child.phase for child in tree(ref).children] == [Phase.DOWN, Phase.QUARANTINED])
    assert [child.last_exit for child in tree(ref).children] == [str(Normal()), "ValueError: boom"]


def test_an_actor_that_hangs_is_shown_with_what_waits_for_it_and_for_how_long(house: House) -> None:
    stuck = Starts(StuckChild.start, house.trap)
    ref = house.up(stuck.spec("stuck"))
    child = stuck.next()
    tell(child, Hang())
    assert house.trap.entered.wait(PATIENCE_S)
    tell(child, "waits")
    tell(child, "waits too")
    (node,) = tree(ref).children
    assert node.inbox == 2
    assert node.busy_s > 0.0
    assert tree(ref).children[0].busy_s > node.busy_s
    house.trap.let_go.set()


def test_the_tree_can_be_seen_while_a_supervisor_hangs(house: House) -> None:
    inner = house.steady("x")
    nested = Starts(Supervisor.start, "nested", [inner.spec("x")])
    ref = house.up(nested.spec("n", type=ChildType.SUPERVISOR))
    inner.next()
    supervisor = nested.next()

    def hang(_: Any) -> None:
        house.trap.hold()

    tell(supervisor, Call("hang", hang))
    assert house.trap.entered.wait(PATIENCE_S)
    (node,) = tree(ref).children
    assert [child.id for child in node.children] == ["x"]
    assert node.busy_s > 0.0
    house.trap.let_go.set()


def test_a_supervisor_shows_how_many_of_its_children_hung(house: House) -> None:
    stuck = Starts(StuckChild.start, house.trap)
    ref = house.up(stuck.spec("stuck", hang_s=0.5))
    tell(stuck.next(), Hang())
    stuck.next()
    assert tree(ref).hung == 1
    house.trap.let_go.set()


def test_a_tree_that_changes_meanwhile_harms_no_look_at_it(house: House) -> None:
    ref = house.up()
    for number in range(50):
        start_child(ref, house.steady(str(number)).spec(str(number)))
        assert len(tree(ref).children) <= number + 1
    until(lambda: len(tree(ref).children) == 50)
    kill(ref, "enough")
    assert isinstance(tree(ref), Node)


def test_a_child_that_was_killed_has_no_ghosts_below_it_and_is_busy_no_more(house: House) -> None:
    inner = house.steady("x")
    nested = Starts(Supervisor.start, "nested", [inner.spec("x")])
    quarantine = Quarantine(restarts=0, period_s=60.0)
    ref = house.up(nested.spec("n", type=ChildType.SUPERVISOR, quarantine=quarantine))
    inner.next()
    supervisor = nested.next()
    tell(supervisor, Call("hang", lambda _: house.trap.hold()))
    assert house.trap.entered.wait(PATIENCE_S)
    kill(supervisor, "it hung")
    until(lambda: tree(ref).children[0].phase is Phase.QUARANTINED)
    (node,) = tree(ref).children
    assert node.children == ()
    assert node.busy_s == 0.0
    assert node.last_exit == "killed: it hung"
    house.trap.let_go.set()
