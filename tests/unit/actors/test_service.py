from collections.abc import Iterator
from typing import Any

import pytest
from pykka import ActorRef

from actors.loop import AsyncioLoop
from actors.service import ServiceActor, ServiceEndedError
from protocol.errors import PlantaoError
from supervisor.actor import ShutDown, tell
from supervisor.reasons import Crash, Shutdown
from tests.fakes.bell import Bell
from tests.fakes.fragile_service import FragileService
from tests.fakes.parent import Parent


class Shop:
    """A service and its actor."""

    def __init__(self) -> None:
        self.loop = AsyncioLoop()
        self.loop.start(lambda: None)
        self.bell = Bell()
        self.service = FragileService(self.bell)
        self.parent = Parent()

    def start(self) -> ActorRef[Any]:
        return ServiceActor.start(self.parent.link, "fragile", self.loop, self.service)

    def wait(self, what: str) -> None:
        self.bell.wait(lambda: what in self.service.story, what)


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.loop.stop()


def test_a_service_is_up_when_it_says_so_and_stopped_when_told(shop: Shop) -> None:
    ref = shop.start()
    shop.parent.wait_started()
    assert shop.service.running
    tell(ref, ShutDown())
    assert shop.parent.wait_exit() == Shutdown()
    assert shop.service.story == ["start", "up", "stop"]


def test_a_service_that_fails_to_start_is_a_crash_with_its_error(shop: Shop) -> None:
    shop.service.refusal = PlantaoError("port 4222 is taken")
    shop.start()
    assert shop.parent.wait_exit() == Crash(shop.service.refusal)
    assert not shop.parent.started.is_set()


def test_a_service_that_ends_by_itself_is_stopped_and_then_a_crash(shop: Shop) -> None:
    shop.start()
    shop.parent.wait_started()
    shop.service.end("killed by signal 9")
    reason = shop.parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, ServiceEndedError)
    assert str(reason.error) == "fragile ended: killed by signal 9"
    assert shop.service.story == ["start", "up", "stop"]


def test_a_service_told_to_end_while_it_starts_is_kept_from_starting(shop: Shop) -> None:
    shop.service.held = True
    ref = shop.start()
    shop.wait("start")
    tell(ref, ShutDown())
    assert shop.parent.wait_exit() == Shutdown()
    assert shop.service.story == ["start", "start cancelled", "stop"]
    assert not shop.parent.started.is_set()


def test_a_service_told_to_end_at_once_does_not_run_on(shop: Shop) -> None:
    for _ in range(20):
        shop.parent = Parent()
        tell(shop.start(), ShutDown())
        assert shop.parent.wait_exit() == Shutdown()
        assert not shop.service.running


def test_a_stop_that_fails_does_not_keep_the_actor(shop: Shop) -> None:
    shop.service.stop_error = PlantaoError("it would not go")
    ref = shop.start()
    shop.parent.wait_started()
    tell(ref, ShutDown())
    assert shop.parent.wait_exit() == Shutdown()


def test_a_service_can_be_started_again_after_its_end(shop: Shop) -> None:
    shop.start()
    shop.parent.wait_started()
    shop.service.end("killed")
    shop.parent.wait_exit()
    shop.parent = Parent()
    ref = shop.start()
    shop.parent.wait_started()
    assert shop.service.running
    tell(ref, ShutDown())
    assert shop.parent.wait_exit() == Shutdown()
