"""The drain: when it is through."""

from typing import Any

from pykka import ActorRef

from actors.drain import Drain, DrainBegan
from actors.places import channel_name
from supervisor.actor import Actor
from supervisor.names import Names
from tests.fakes.parent import Parent, until


class Told(Actor):
    """Remembers what it was told."""

    def __init__(self, parent: Parent, names: Names, heard: list[Any]) -> None:
        super().__init__(parent.link, names.name(channel_name("acme", "front")))
        self.heard = heard

    def handle(self, message: Any) -> None:
        self.heard.append(message)


def started(names: Names, heard: list[Any]) -> ActorRef[Any]:
    parent = Parent()
    ref = Told.start(parent, names, heard)
    parent.wait_started()
    return ref


def test_without_channels_it_is_through_at_once() -> None:
    drain, told = Drain(), list[str]()

    drain.begin([("acme", "quarantined")], Names(), lambda: told.append("through"))

    assert (drain.begun, told) == (True, ["through"])


def test_it_is_through_once_when_every_channel_is() -> None:
    drain, names = Drain(), Names()
    told, heard = list[str](), list[Any]()
    ref = started(names, heard)
    drain.begin([("acme", "front"), ("acme", "away")], names, lambda: told.append("through"))
    until(lambda: heard == [DrainBegan()])
    assert told == []

    drain.through("acme", "another")
    assert told == []
    drain.through("acme", "front")
    drain.through("acme", "front")

    assert told == ["through"]
    ref.stop()


def test_a_channel_that_has_ended_is_not_waited_for() -> None:
    drain, names, told = Drain(), Names(), list[str]()
    ref = started(names, [])
    ref.stop()
    names.register(channel_name("acme", "front"), ref)

    drain.begin([("acme", "front")], names, lambda: told.append("through"))

    assert told == ["through"]
