"""The core, driven by hand: what the tests of its decisions have in common."""

from typing import Any

from pykka import ActorRef

from supervisor import core
from supervisor.actor import Link
from supervisor.api import Answer, Phase, Request, StartChild
from supervisor.reasons import Crash, ExitReason, Killed, Normal, Shutdown
from supervisor.spec import ChildSpec, Flags
from supervisor.state import Asked, Begin, Booted, Effect, Event, Exited, Launch, Reply, Started

BOOM = Crash(RuntimeError("boom"))
REASONS: tuple[ExitReason, ...] = (Normal(), Shutdown(), Shutdown("more"), Killed("hung"), BOOM)


def never_started(_: Link, *args: object) -> ActorRef[Any]:
    raise AssertionError("the core starts nothing")


def spec(id: str, **settings: Any) -> ChildSpec:
    return ChildSpec(id=id, start=never_started, **settings)


class Driver:
    """A supervisor's state, at a time that only the test moves."""

    def __init__(self, *specs: ChildSpec, **flags: Any) -> None:
        self.state = core.begin(Flags(**flags), specs)
        self.now = 100.0

    def do(self, event: Event) -> list[Effect]:
        self.state, effects = core.step(self.state, event, self.now)
        return effects

    def begin(self) -> list[Effect]:
        return self.do(Begin())

    def up(self) -> "Driver":
        """All children that it begins with are up."""
        effects = self.begin()
        while Booted() not in effects:
            effects = [more for effect in effects if isinstance(effect, Launch) for more in self.comes_up(effect)]
        return self

    def comes_up(self, launch: Launch) -> list[Effect]:
        return self.do(Started(launch.spec.id, launch.incarnation))

    def started(self, id: str) -> list[Effect]:
        """Its latest incarnation is up."""
        return self.do(Started(id, self.incarnation(id)))

    def ends(self, id: str, reason: ExitReason = BOOM) -> list[Effect]:
        """Its latest incarnation ends."""
        return self.do(Exited(id, self.incarnation(id), reason))

    def add_instance(self, *args: object) -> str:
        """One more instance of a dynamic supervisor's template, up; its id."""
        (launch,) = self.asks(StartChild(args=args))
        assert isinstance(launch, Launch)
        self.comes_up(launch)
        return launch.spec.id

    def asks(self, request: Request, to: object = "asker") -> list[Effect]:
        return self.do(Asked(request, to))

    def answer(self, request: Request) -> Answer:
        """The answer to what is answered at once."""
        (reply,) = self.asks(request)
        assert isinstance(reply, Reply)
        return reply.answer

    def incarnation(self, id: str) -> int:
        return self.state.children[id].incarnation

    def phase(self, id: str) -> Phase | None:
        child = self.state.children.get(id)
        return child.phase if child else None
