from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from actors.channel.identity import Identity
from protocol.ledger import Paired
from tests.fakes.scripted_port import AT
from tests.unit.actors.channel.bench import CHANNEL, Bench

ONE, OTHER = "5511900000001", "5511900000002"


class Registrar(Bench):
    """The part that knows the number; ``changes``: since when another one is connected, as it said."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[datetime] = []
        self.part = Identity(self.context, self.changes.append)
        self.handlers = self.part.handlers

    def noted(self) -> Paired | None:
        return self.ledger.channel(CHANNEL).paired


@pytest.fixture
async def registrar() -> AsyncIterator[Registrar]:
    registrar = Registrar()
    yield registrar
    await registrar.loop.end()


async def test_the_first_number_is_noted_and_changes_nothing(registrar: Registrar) -> None:
    registrar.part.begin(None)
    for _ in range(2):
        registrar.part.connected(ONE)
        await registrar.run()
    assert (registrar.noted(), registrar.changes) == (Paired(phone=ONE), [])
    assert registrar.ledger.calls == [("pair", (ONE,))]


async def test_another_number_is_said_at_once_and_again_by_every_life_after(registrar: Registrar) -> None:
    registrar.part.begin(Paired(phone=ONE))
    registrar.part.connected(OTHER)
    (change,) = registrar.changes
    await registrar.run()
    assert registrar.noted() == Paired(phone=OTHER, changed_at=change)
    after = Registrar()
    after.part.begin(registrar.noted())
    after.part.connected(OTHER)
    assert after.changes == [change]


async def test_it_is_noted_until_the_ledger_has_it_and_then_as_it_is(registrar: Registrar) -> None:
    registrar.part.begin(Paired(phone=ONE, changed_at=AT))
    registrar.ledger.failing = True
    registrar.part.connected(OTHER)
    await registrar.run()
    registrar.part.connected(ONE)
    registrar.ledger.failing = False
    await registrar.fire("identity")
    noted = registrar.noted()
    assert noted is not None
    assert (noted.phone, noted.changed_at, len(registrar.changes)) == (ONE, registrar.changes[-1], 3)
