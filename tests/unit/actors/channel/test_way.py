"""What telemetry is told of a command's way."""

from collections.abc import AsyncIterator

import pytest

from protocol.subjects import Priority
from protocol.telemetry import Step, Stretch
from tests.fakes.memory_bus import body_of
from tests.unit.actors.channel.bench import CHANNEL, Bench
from tests.unit.actors.channel.commands import failed
from tests.unit.actors.channel.ear import Ear
from tests.unit.actors.channel.heard import receipt
from tests.unit.actors.channel.mouth import Mouth
from tests.unit.actors.channel.test_attempt import answering
from tests.unit.actors.channel.test_counting import was_sent

HEADERS = {"Plantao-Correlation-Id": "visit-7"}


class Follower:
    """Implements ``protocol.telemetry.Telemetry``."""

    def __init__(self) -> None:
        self.told: list[Stretch] = []

    def went(self, stretch: Stretch) -> None:
        self.told.append(stretch)

    @property
    def steps(self) -> list[tuple[str, str]]:
        return [(each.id, each.step.value) for each in self.told]


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> Follower:
    """Of every channel that is made from now on."""
    follower = Follower()
    monkeypatch.setattr(Bench, "telemetry", follower)
    return follower


@pytest.fixture
async def mouth(follower: Follower) -> AsyncIterator[Mouth]:
    mouth = await Mouth().start()
    yield mouth
    await mouth.loop.end()


async def test_a_command_is_followed_from_the_queue_to_its_end(mouth: Mouth, follower: Follower) -> None:
    mouth.bus.put(CHANNEL, body_of(id="1"), Priority.NORMAL, **HEADERS)
    await mouth.run()
    assert follower.steps == [("1", "queue"), ("1", "send"), ("1", "command")]
    queue, send, command = follower.told
    assert all(each.headers == HEADERS and each.run == 1 for each in follower.told)
    assert queue.begin == command.begin <= send.begin <= send.end <= command.end
    assert (queue.facts, send.facts) == ({"priority": "normal", "type": "text"}, {})
    assert command.facts == {"status": "sent", "attempts": 1}


async def test_each_attempt_is_told_with_what_was_wrong(mouth: Mouth, follower: Follower) -> None:
    mouth.port.answer = answering(failed("server_error"))
    await mouth.send(body_of(id="1"))
    sends = [each for each in follower.told if each.step is Step.SEND]
    assert [each.facts for each in sends] == [{"error_code": "server_error"}] * len(sends)
    assert len(sends) == mouth.policy.outbox.attempts


async def test_what_could_not_be_given_to_a_port_is_told_too(mouth: Mouth, follower: Follower) -> None:
    await mouth.send(body_of(id="1", type="image", media={"object": "nothing"}))
    assert follower.steps == [("1", "queue"), ("1", "send"), ("1", "command")]
    assert follower.told[-1].facts == {"status": "failed", "attempts": 1, "error_code": "media_invalid"}


async def test_the_first_receipt_ends_the_way(follower: Follower) -> None:
    ear = Ear()
    await ear.run()
    was_sent(ear, "1", "W")
    await ear.hear(receipt("W"), receipt("THEIRS"))
    await ear.hear(receipt("W", kind="read"))
    assert follower.steps == [("1", "delivery")]
    assert (follower.told[0].end - follower.told[0].begin).total_seconds() == 3
    await ear.loop.end()
