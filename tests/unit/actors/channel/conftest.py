"""A clock that tests set, and the receiving part of a channel."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.actors.channel.ear import Ear
from tests.unit.actors.channel.mouth import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """It rules what channels take for the time."""
    clock = Clock()
    clock.rule(monkeypatch)
    return clock


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    """It hears."""
    ear = Ear()
    await ear.run()
    yield ear
    await ear.loop.end()
