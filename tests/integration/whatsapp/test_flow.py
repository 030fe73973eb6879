"""Many messages and many ports: back-pressure, nothing lost, nothing left."""

import asyncio

import pytest

from protocol.interfaces import INBOUND_CREDIT
from protocol.port import Done, Probe, Sent
from protocol.port_events import MessageReceived, PortExited
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import Account, answer_to, children, how, text

pytestmark = pytest.mark.asyncio(loop_scope="session")


def texts(clinic: Account) -> list[str | None]:
    return [message.text for message in clinic.heard.of(MessageReceived)]


async def test_a_port_out_of_credit_waits_and_loses_nothing(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    wanted = [f"message {i}" for i in range(3 * INBOUND_CREDIT)]
    for words in wanted:
        await emulator.send_text(contact, clinic.phone, words)

    await clinic.heard.until_that(lambda: len(texts(clinic)) == INBOUND_CREDIT)
    assert await port.call(Probe(), deadline=10) == Done()
    assert isinstance(await answer_to(port, text(number()), deadline=10), Sent)
    assert len(texts(clinic)) == INBOUND_CREDIT

    port.grant(1)
    await clinic.heard.until_that(lambda: len(texts(clinic)) == INBOUND_CREDIT + 1)
    port.grant(10 * INBOUND_CREDIT)
    await clinic.heard.until_that(lambda: len(texts(clinic)) == len(wanted))
    assert texts(clinic) == wanted


async def test_what_arrives_while_a_port_stops_comes_through_it_or_the_next(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    port.grant(1000)
    wanted = [f"message {i}" for i in range(80)]
    writing = asyncio.gather(*(emulator.send_text(contact, clinic.phone, words) for words in wanted))
    await clinic.heard.until(MessageReceived)
    await port.stop(timeout=10)
    await writing
    before = texts(clinic)

    port = await clinic.connected()
    port.grant(1000)
    await clinic.heard.until_that(lambda: len(before) + len(texts(clinic)) >= len(wanted))
    assert sorted(map(str, before + texts(clinic))) == sorted(wanted)


async def test_what_a_port_had_not_said_for_want_of_credit_comes_before_its_end(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    wanted = [f"message {i}" for i in range(INBOUND_CREDIT + 20)]
    for words in wanted:
        await emulator.send_text(contact, clinic.phone, words)
    await clinic.heard.until_that(lambda: len(texts(clinic)) == INBOUND_CREDIT)
    await port.stop(timeout=10)
    assert texts(clinic) == wanted
    assert isinstance(clinic.heard.events[-1], PortExited)


async def test_eight_ports_live_side_by_side_and_leave_nothing(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinics = [account() for _ in range(8)]
    ports = await asyncio.gather(*(clinic.paired() for clinic in clinics))
    assert len({port.pid for port in ports}) == 8
    contact = number()
    answers = await asyncio.gather(*(answer_to(port, text(contact), deadline=20) for port in ports))
    assert all(isinstance(answer, Sent) for answer in answers)
    await asyncio.gather(*(emulator.send_text(contact, clinic.phone, clinic.phone) for clinic in clinics))
    for clinic in clinics:
        assert (await clinic.heard.until(MessageReceived)).text == clinic.phone

    await asyncio.gather(*(port.stop(timeout=15) for port in ports))
    assert [how(await clinic.exited()) for clinic in clinics] == [("stopped", True)] * 8
    assert not ({port.pid for port in ports} & children())
