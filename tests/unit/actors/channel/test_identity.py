from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from actors.channel.identity import Identity
from actors.channel.parcel import Disowned
from protocol.codes import ErrorCode
from protocol.condemnation import Condemnation
from protocol.ledger import NO_NUMBER, Paired
from tests.fakes.scripted_port import AT
from tests.fakes.scripted_remains import DEVICE
from tests.unit.actors.channel.bench import CHANNEL, Bench

ONE, OTHER = "5511900000001", "5511900000002"
SECOND_DEVICE = f"{ONE}:9@s.whatsapp.net"


class Registrar(Bench):
    """The part that knows the number; ``changes``: since when another one is connected, as it said; ``restored``: when
    the clinic was put back."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[datetime] = []
        self.restored: list[datetime] = []
        self.part = Identity(self.context, self._disown)
        self.handlers = self.part.handlers

    def _disown(self, what: Disowned) -> None:
        (self.restored if what.code is ErrorCode.RESTORED else self.changes).append(what.before)

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
        registrar.part.connected(ONE, DEVICE)
        await registrar.run()
    assert (registrar.noted(), registrar.changes) == (Paired(phone=ONE, jid=DEVICE), [])
    assert registrar.ledger.calls == [("pair", (ONE,))]


async def test_another_number_is_said_at_once_and_again_by_every_life_after(registrar: Registrar) -> None:
    registrar.part.begin(Paired(phone=ONE))
    registrar.part.connected(OTHER, DEVICE)
    (change,) = registrar.changes
    await registrar.run()
    assert registrar.noted() == Paired(phone=OTHER, jid=DEVICE, changed_at=change)
    after = Registrar()
    after.part.begin(registrar.noted())
    after.part.connected(OTHER, DEVICE)
    assert after.changes == [change]


async def test_it_is_noted_until_the_ledger_has_it_and_then_as_it_is(registrar: Registrar) -> None:
    registrar.part.begin(Paired(phone=ONE, changed_at=AT))
    registrar.ledger.failing = True
    registrar.part.connected(OTHER, DEVICE)
    await registrar.run()
    registrar.part.connected(ONE, DEVICE)
    registrar.ledger.failing = False
    await registrar.fire("identity")
    noted = registrar.noted()
    assert noted is not None
    assert (noted.phone, noted.changed_at, len(registrar.changes)) == (ONE, registrar.changes[-1], 3)


async def test_another_device_of_the_same_number_is_noted_and_holds_nothing(registrar: Registrar) -> None:
    registrar.part.begin(Paired(phone=ONE, jid=DEVICE, changed_at=AT))
    registrar.part.connected(ONE, SECOND_DEVICE)
    await registrar.run()
    assert registrar.noted() == Paired(phone=ONE, jid=SECOND_DEVICE, changed_at=AT)
    assert registrar.changes == [AT], "only what it began with"


@pytest.mark.parametrize("phone", [NO_NUMBER, ONE])
async def test_what_was_queued_before_the_clinic_was_put_back_is_said_by_every_life_after(
    registrar: Registrar, phone: str
) -> None:
    put_back = AT
    for _ in range(2):
        registrar.part.begin(Paired(phone=phone, restored_at=put_back))
    registrar.part.connected(ONE, DEVICE)
    await registrar.run()
    assert (registrar.restored, registrar.changes) == ([put_back, put_back], [])
    assert registrar.noted() == Paired(phone=ONE, jid=DEVICE, restored_at=put_back)
    registrar.part.connected(OTHER, DEVICE)
    await registrar.run()
    noted = registrar.noted()
    assert noted is not None
    assert (noted.phone, noted.restored_at, noted.changed_at) == (OTHER, put_back, registrar.changes[0])


async def test_that_it_is_condemned_is_noted_with_the_number_until_it_is_no_more(registrar: Registrar) -> None:
    banned = Condemnation(reason="banned", since=AT)
    registrar.part.begin(Paired(phone=ONE, jid=DEVICE))
    for condemned in (banned, banned, None, None):
        registrar.part.condemned(condemned)
        await registrar.run()
        assert registrar.noted() == Paired(phone=ONE, jid=DEVICE, condemned=condemned)
    assert len(registrar.ledger.calls) == 2


async def test_one_that_was_never_connected_may_be_condemned_too(registrar: Registrar) -> None:
    outdated = Condemnation(reason="client outdated", since=AT, client="1")
    registrar.part.begin(None)
    registrar.part.condemned(None)
    await registrar.run()
    assert registrar.ledger.calls == []
    registrar.part.condemned(outdated)
    await registrar.run()
    assert registrar.noted() == Paired(phone=NO_NUMBER, condemned=outdated)


async def test_what_condemns_it_while_the_ledger_is_away_is_noted_as_it_is_when_it_is_back(
    registrar: Registrar,
) -> None:
    banned = Condemnation(reason="banned", since=AT)
    registrar.part.begin(Paired(phone=ONE, jid=DEVICE))
    registrar.ledger.failing = True
    for condemned in (banned, None, banned):
        registrar.part.condemned(condemned)
        await registrar.run()
    registrar.ledger.failing = False
    await registrar.fire("identity")
    assert registrar.noted() == Paired(phone=ONE, jid=DEVICE, condemned=banned)
