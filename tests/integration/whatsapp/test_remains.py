"""What a port leaves behind, however it ends: every record that was written is found, and who had been written to."""

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from gateway.whatsapp.journal import folder_of, segments
from protocol.errors import StoreGoneError
from protocol.interfaces import SendOutcome
from protocol.port import Failed, SendText, Sent
from protocol.port_events import AlreadyDecrypted, Connected, LoggedOut, MessageReceived
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import Account, answer_to, send, text

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUNDS = 6
MANY = 1_000_000


async def test_a_message_leaves_a_trace_before_it_is_sent_and_when_it_has_come(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    before = await clinic.remains.last_row()
    wanted = [await emulator.send_text(contact, clinic.phone, "by lid")]
    wanted.append(await emulator.send_text(contact, clinic.phone, "by number", addressing="pn"))
    for wa_id in wanted:
        message = await clinic.heard.until(MessageReceived, lambda it, wa_id=wa_id: it.wa_id == wa_id)  # type: ignore[misc]
        (trace,) = [each for each in await clinic.remains.traces(before, MANY) if each.wa_id == wa_id]
        assert (trace.chat, trace.sender) == (message.chat, message.sender)

    await emulator.fault("no_ack", phone=clinic.phone)
    request = text(contact, "never acknowledged")
    sending = asyncio.create_task(send(port, request, deadline=60))
    arrived = await emulator.wait_for_message(contact, text="never acknowledged")
    assert await clinic.remains.ids_of([request.secret], clinic.device) == {request.secret: arrived.id}
    port.kill("the test wishes so")
    (outcome,) = await sending
    assert outcome.cut
    rows = [trace.row for trace in await clinic.remains.traces(0, MANY)]
    assert (await clinic.exited()).last_row == await clinic.remains.last_row() == rows[-1]


class Everything:
    """What came in through all ports of an account, and what whatsmeow threw away as had."""

    def __init__(self, clinic: Account) -> None:
        self.clinic = clinic
        self.ids: set[str] = set()
        self.thrown_away: set[str] = set()

    def gather(self) -> None:
        """What the present port said; all of it is done now."""
        heard = self.clinic.heard
        assert heard.records == sorted(set(heard.records))
        self.ids |= {message.wa_id for message in heard.of(MessageReceived)}
        self.thrown_away |= {message.wa_id for message in heard.of(AlreadyDecrypted)}
        self.clinic.remains.done(heard.records)

    async def lost(self) -> set[str]:
        """Of what did not come in, that which left a trace or was thrown away."""
        traced = {trace.wa_id for trace in await self.clinic.remains.traces(0, MANY)}
        return (traced | self.thrown_away) - self.ids


async def test_what_comes_in_while_ports_are_killed_is_recorded_or_traced(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contacts, chance = account(), [number() for _ in range(4)], Random(5)
    everything, sent = Everything(clinic), set[str]()

    async def write(contact: str) -> None:
        for each in range(40):
            sent.add(await emulator.send_text(contact, clinic.phone, f"message {each}"))

    port = await clinic.paired()
    port.grant(MANY)
    for _ in range(ROUNDS):
        writing = asyncio.gather(*(write(contact) for contact in contacts))
        await clinic.heard.until(MessageReceived)
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        os.kill(port.pid, signal.SIGKILL)
        end = await clinic.exited()
        assert end.last_row == await clinic.remains.last_row()
        everything.gather()
        assert await clinic.remains.journal() == [], "all that was written was said"
        await writing
        port = await clinic.open()
        port.grant(MANY)
        await clinic.heard.until(Connected)

    async with asyncio.timeout(20):
        while True:
            everything.gather()
            lost = await everything.lost()
            if sent <= everything.ids | lost:
                break
            await asyncio.sleep(0.1)  # another process writes: there is nothing to wait on
    assert len(lost) <= ROUNDS * 101
    await port.stop(timeout=10)
    everything.gather()
    assert [segment.records() for segment in segments(folder_of(str(clinic.store)))] == [[]]


async def test_what_is_sent_while_ports_are_killed_is_known_of(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact, chance = account(), number(), Random(7)
    port = await clinic.paired()
    requests: dict[str, SendText] = {}
    outcomes: dict[str, SendOutcome] = {}
    for _ in range(ROUNDS):
        batch = {request.key: request for request in (text(contact, f"{len(requests) + each}") for each in range(150))}
        requests |= batch
        sending = asyncio.create_task(send(port, *batch.values(), deadline=60))
        await asyncio.sleep(chance.uniform(0.02, 0.12))
        os.kill(port.pid, signal.SIGKILL)
        outcomes |= {outcome.key: outcome for outcome in await sending}
        clinic.remains.done([outcome.record for outcome in outcomes.values() if outcome.record is not None])
        port = await clinic.connected()

    arrived = Counter(item.id for item in await emulator.inbox(contact))
    assert set(arrived.values()) == {1}
    sent = {outcome.answer.wa_id for outcome in outcomes.values() if isinstance(outcome.answer, Sent)}
    assert sent <= set(arrived)
    cut = [requests[key] for key, outcome in outcomes.items() if outcome.cut]
    assert cut
    found = await clinic.remains.ids_of([request.secret for request in cut], clinic.device)
    assert len(found) <= ROUNDS, "one at a time was under way"
    assert set(arrived) - sent <= set(found.values()), "what has no trace was never sent"
    assert len(outcomes) == len(sent) + len(cut)


async def test_a_device_that_is_removed_takes_its_traces_along_and_that_is_known(
    account: MakeAccount, number: MakeNumber, emulator: EmulatorProcess
) -> None:
    clinic = account()
    port = await clinic.paired()
    requests = [text(number()), text(number())]
    assert isinstance(await answer_to(port, requests[0]), Sent)
    assert len(await clinic.remains.ids_of([each.secret for each in requests], clinic.device)) == 1
    await emulator.fault("stream_error", phone=clinic.phone, count=1, code="401", conflict="device_removed")
    await clinic.heard.until(LoggedOut)
    await port.stop(timeout=10)
    with pytest.raises(StoreGoneError):
        await clinic.remains.ids_of([each.secret for each in requests], clinic.device)


async def test_a_port_whose_main_takes_nothing_hangs_up_and_loses_nothing(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    await clinic.paired()
    words, sent = "x" * 60_000, list[str]()
    while await online(emulator, clinic):
        sent.append(await emulator.send_text(contact, clinic.phone, words))
        assert len(sent) < 2000
    end = await clinic.exited()
    assert "the main process takes nothing" in end.reason
    received = [message.wa_id for message in clinic.heard.of(MessageReceived)]
    assert 100 < len(received) <= len(sent)
    assert received == sent[: len(received)]
    clinic.remains.done(clinic.heard.records)

    port = await clinic.connected()
    port.grant(MANY)
    rest = set(sent[len(received) :])
    await clinic.heard.until_that(lambda: rest <= {message.wa_id for message in clinic.heard.of(MessageReceived)})


async def online(emulator: EmulatorProcess, clinic: Account) -> bool:
    return any(session.phone == clinic.phone and session.connected for session in await emulator.sessions())


@pytest_asyncio.fixture(loop_scope="session")
async def small_disk(tmp_path: Path) -> AsyncIterator[Path]:
    """The store of an account whose journal has a disk of its own, a small one. To be asked for before the account."""
    store = tmp_path / "full" / "session.db"
    folder = folder_of(str(store))
    folder.mkdir(parents=True)
    mounted = await asyncio.create_subprocess_exec(
        *("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(folder)), stderr=subprocess.DEVNULL
    )
    if await mounted.wait():
        pytest.skip("nothing can be mounted here")
    yield store
    unmounting = await asyncio.create_subprocess_exec("umount", str(folder))
    assert await unmounting.wait() == 0


async def test_a_journal_without_space_ends_the_port_within_a_second(
    small_disk: Path, account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(store=small_disk), number()
    port = await clinic.paired()
    port.grant(MANY)
    sent = [await emulator.send_text(contact, clinic.phone, "x" * 6000) for _ in range(8)]
    await clinic.heard.until_that(lambda: len(clinic.heard.of(MessageReceived)) == len(sent))
    began = time.monotonic()
    sent += await asyncio.gather(*(emulator.send_text(contact, clinic.phone, "x" * 6000) for _ in range(8)))
    end = await clinic.exited()
    assert "No space left on device" in end.reason
    assert time.monotonic() - began < 5
    said = [message.wa_id for message in clinic.heard.of(MessageReceived)]
    assert len(said) > 8, "also what could not be written"
    clinic.remains.done(clinic.heard.records)

    port = await clinic.connected()
    port.grant(MANY)
    rest = set(sent) - set(said)
    await clinic.heard.until_that(lambda: rest <= {message.wa_id for message in clinic.heard.of(MessageReceived)})


def fill(store: Path) -> None:
    """Leave the journal of ``store`` no space."""
    with suppress(OSError):
        (folder_of(str(store)) / "ballast").write_bytes(b"x" * 65_537)


async def test_a_port_that_must_hang_up_does_not_wait_for_its_send(
    small_disk: Path, account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(store=small_disk), number()
    port = await clinic.paired()
    await emulator.fault("no_ack", phone=clinic.phone)
    request = text(contact, "never acknowledged")
    sending = asyncio.create_task(send(port, request, deadline=60))
    arrived = await emulator.wait_for("message", where=lambda event: event.data["to"] == contact)
    fill(small_disk)
    words = "one too many" + "x" * 6000
    await emulator.send_text(contact, clinic.phone, words)
    began = time.monotonic()
    await emulator.wait_for("offline", phone=clinic.phone, after=arrived.seq)
    assert time.monotonic() - began < 4, "a send may take five seconds to end when it is waited for"
    (outcome,) = await sending
    assert isinstance(outcome.answer, Failed)
    assert (outcome.answer.code, outcome.record) == ("outcome_unknown", None)
    assert [message.text for message in clinic.heard.of(MessageReceived)] == [words]
    assert "No space left on device" in (await clinic.exited()).reason


async def test_a_send_that_cannot_be_written_down_is_answered_all_the_same(
    small_disk: Path, account: MakeAccount, number: MakeNumber
) -> None:
    clinic = account(store=small_disk)
    port = await clinic.paired()
    fill(small_disk)
    (outcome,) = await send(port, text(number()))
    assert isinstance(outcome.answer, Sent)
    assert outcome.record is None
    assert "No space left on device" in (await clinic.exited()).reason
