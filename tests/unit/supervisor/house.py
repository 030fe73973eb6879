"""A supervisor with real actors below it: what the tests of the shell have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

from pykka import ActorRef

from supervisor.actor import Actor, ShutDown, kill, tell
from supervisor.api import Children, ChildView, Counts
from supervisor.client import count_children, which_children
from supervisor.reasons import ExitReason, Normal, Shutdown
from supervisor.shell import Supervisor
from supervisor.spec import ChildSpec, Flags
from tests.fakes.parent import Parent, Starts, taken
from tests.fakes.steady_child import SteadyChild, Story
from tests.fakes.stuck_child import Trap

BOOM = ValueError("boom")


def do_exit(actor: Actor) -> None:
    actor.exit(Normal())


def do_crash(_: Actor) -> None:
    raise BOOM


@dataclass
class House:
    """Starts one supervisor, and ends it with its test; lets go whoever hangs in ``trap``."""

    parent: Parent = field(default_factory=Parent)
    story: Story = field(default_factory=SimpleQueue)
    trap: Trap = field(default_factory=Trap)
    ref: ActorRef[Any] | None = None

    def start(self, *children: ChildSpec, **flags: Any) -> ActorRef[Any]:
        """The supervisor, up or not."""
        self.ref = Supervisor.start(self.parent.link, "house", children, Flags(**{"intensity": 5, **flags}))
        return self.ref

    def up(self, *children: ChildSpec, **flags: Any) -> ActorRef[Any]:
        ref = self.start(*children, **flags)
        self.parent.wait_started()
        return ref

    def steady(self, id: str) -> Starts:
        return Starts(SteadyChild.start, id, self.story)

    def tale(self, length: int) -> list[tuple[str, str]]:
        return [taken(self.story, "nothing happened") for _ in range(length)]

    def asks(self, request: Callable[..., None], *args: Any) -> Any:
        """The answer to ``request``, one of the functions of ``shell``."""
        return taken(self.asked(request, *args), "no answer")

    def asked(self, request: Callable[..., None], *args: Any) -> SimpleQueue[Any]:
        """Where the answer will be."""
        assert self.ref is not None
        answers: SimpleQueue[Any] = SimpleQueue()
        partial(request, self.ref, *args)(told=answers.put)
        return answers

    def children(self) -> dict[str, ChildView]:
        answer = self.asks(which_children)
        assert isinstance(answer, Children)
        return {view.id: view for view in reversed(answer.children)}

    def counts(self) -> Counts:
        answer = self.asks(count_children)
        assert isinstance(answer, Counts)
        return answer

    def end(self, reason: ExitReason = Shutdown()) -> None:  # noqa: B008 - frozen
        assert self.ref is not None
        tell(self.ref, ShutDown(reason))
        assert self.parent.wait_exit() == reason

    def clear(self) -> None:
        """Nobody is left, whatever the test did."""
        self.trap.let_go.set()
        if self.ref is not None:
            kill(self.ref, "the test is over")
