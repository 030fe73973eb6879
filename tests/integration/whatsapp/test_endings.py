"""Every way in which a port or the nursery can end, and what the others make of it."""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.whatsapp.opener import Nursery
from gateway.whatsapp.port_process import Timings
from protocol.errors import PortGoneError, PortStartError
from protocol.port import Done, Failed, Probe, Sent
from protocol.port_events import PortExited, QrShown
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber, MakeNursery
from tests.integration.whatsapp.harness import (
    WAIT,
    Listener,
    answer_to,
    children,
    environment_of,
    how,
    name_of,
    open_files,
    text,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

# -- ports --


async def test_a_port_that_has_outgrown_its_memory_ends_in_order(
    account: MakeAccount, new_nursery: MakeNursery
) -> None:
    nursery = new_nursery(Timings(beat=0.2), port_bytes=1 << 20)
    await nursery.start()
    clinic = account(nursery=nursery)
    await clinic.open()
    reason, expected = how(await clinic.exited())
    assert expected
    assert reason.endswith("MiB of memory, more than limits.port_bytes")


async def test_a_port_that_is_killed_says_so_last(account: MakeAccount) -> None:
    clinic = account()
    port = await clinic.paired()
    os.kill(port.pid, signal.SIGKILL)
    assert how(await clinic.exited()) == ("killed by signal 9", False)
    await port.closed()
    assert isinstance(clinic.heard.events[-1], PortExited)
    assert len(clinic.heard.of(PortExited)) == 1
    assert port.pid not in children()
    port.kill("too late")


async def test_a_call_to_a_port_that_dies_fails(account: MakeAccount, emulator: EmulatorProcess) -> None:
    clinic = account()
    port = await clinic.paired()
    await emulator.fault("mute", phone=clinic.phone)
    call = asyncio.create_task(port.call(Probe(), deadline=30))
    await asyncio.sleep(0)
    port.kill("the operator wishes so")
    with pytest.raises(PortGoneError, match="the operator wishes so"):
        await call
    assert (await clinic.exited()).reason == "the operator wishes so"


async def test_a_server_that_went_mute_is_found_out_by_a_probe(account: MakeAccount, emulator: EmulatorProcess) -> None:
    clinic = account()
    port = await clinic.paired()
    await emulator.fault("mute", phone=clinic.phone)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(port.call(Probe(), deadline=30), 0.2)
    with pytest.raises(Exception, match="missed the deadline of Probe"):
        await port.call(Probe(), deadline=0.3)
    assert (await clinic.exited()).reason == "missed the deadline of Probe (0.3 s)"


async def test_a_port_that_hangs_is_killed(account: MakeAccount, new_nursery: MakeNursery) -> None:
    nursery = new_nursery(Timings(beat=0.2, silence=4.0))
    await nursery.start()
    clinic = account(nursery=nursery)
    port = await clinic.paired()
    os.kill(port.pid, signal.SIGSTOP)
    assert (await clinic.exited()).reason.startswith("no heartbeat for ")


async def test_a_port_that_is_busy_in_the_library_still_beats(
    account: MakeAccount, new_nursery: MakeNursery, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    nursery = new_nursery(Timings(beat=0.2, silence=3.0))
    await nursery.start()
    clinic = account(nursery=nursery)
    port = await clinic.paired()
    await emulator.fault("late_ack", phone=clinic.phone, seconds=5)
    assert isinstance(await answer_to(port, text(number()), deadline=10), Sent)


async def test_a_port_that_does_not_stop_is_killed(account: MakeAccount) -> None:
    clinic = account()
    port = await clinic.paired()
    os.kill(port.pid, signal.SIGSTOP)
    await port.stop(timeout=0.3)
    assert how(await clinic.exited()) == ("did not stop within 0.3 s", True)


async def test_stopping_lets_the_send_in_flight_end_and_begins_no_other(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.fault("late_ack", phone=clinic.phone, seconds=2)
    first = asyncio.create_task(answer_to(port, text(contact, "first")))
    await emulator.wait_for_message(contact, text="first")
    second = asyncio.create_task(answer_to(port, text(contact, "second")))
    await asyncio.sleep(0)
    await port.stop(timeout=10)
    assert isinstance(await first, Sent)
    answer = await second
    assert isinstance(answer, Failed)
    assert answer.code == "not_connected"
    assert [item.text for item in await emulator.inbox(contact)] == ["first"]


async def test_a_port_stops_at_once_while_it_shows_a_qr_code(account: MakeAccount) -> None:
    clinic = account()
    port = await clinic.open()
    await clinic.heard.until(QrShown)
    await port.stop(timeout=2)
    assert how(await clinic.exited()) == ("stopped", True)


async def test_a_port_holds_nothing_but_what_is_its_own(account: MakeAccount) -> None:
    port = await account().paired()
    links = open_files(port.pid)
    assert links[0] == links[1] == "/dev/null"
    assert "memfd:port-log" in links[2]
    assert name_of(port.pid) == "plantao-port"
    sockets = [link for link in links.values() if link.startswith("socket:")]
    assert len(sockets) == 2, "its conversation with main, and WhatsApp's"


async def test_what_is_no_session_store_ends_the_port(account: MakeAccount) -> None:
    clinic = account()
    clinic.store.parent.mkdir(parents=True)
    clinic.store.write_bytes(b"this is not a database" * 100)
    await clinic.open()
    assert "file is not a database" in (await clinic.exited()).reason


# -- opening --


async def test_a_store_has_one_port(account: MakeAccount) -> None:
    clinic = account()
    port = await clinic.paired()
    late = Listener()
    with pytest.raises(PortStartError, match=f"in use by process {port.pid}"):
        await clinic.nursery.open(clinic.spec(), late)
    assert late.events == []
    assert await port.call(Probe(), deadline=10) == Done()


@pytest.mark.parametrize("store", ["relative/session.db", "/proc/nowhere/session.db"])
async def test_a_store_that_cannot_be_is_refused(account: MakeAccount, store: str) -> None:
    clinic = account(store=Path(store))
    with pytest.raises(PortStartError):
        await clinic.open()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nonexistent/nursery"], "No such file"),
        ([sys.executable, "-c", "import sys; sys.exit('no luck today')"], "no luck today"),
        ([sys.executable, "-m", "gateway.whatsapp.nursery", "--bad-option"], "--bad-option"),
    ],
)
async def test_a_nursery_that_cannot_start_says_why(command: list[str], said: str) -> None:
    nursery = Nursery(command)
    with pytest.raises(PortStartError, match=said):
        await nursery.start()
    assert nursery.pid is None


async def test_a_nursery_that_never_becomes_ready_is_ended() -> None:
    nursery = Nursery([sys.executable, "-c", "import time; time.sleep(60)"], timings=Timings(start=0.3))
    with pytest.raises(PortStartError, match="did not become ready"):
        await nursery.start()
    assert nursery.pid is None


async def test_without_a_nursery_nothing_opens(account: MakeAccount, new_nursery: MakeNursery) -> None:
    nursery = new_nursery()
    clinic = account(nursery=nursery)
    with pytest.raises(PortStartError, match="not started"):
        await clinic.open()
    await nursery.start()
    await nursery.stop(timeout=5)
    with pytest.raises(PortStartError, match="ended with status 0"):
        await clinic.open()


# -- the nursery --


async def test_a_port_survives_its_nursery_and_its_end_is_still_seen(
    account: MakeAccount, new_nursery: MakeNursery, number: MakeNumber
) -> None:
    nursery = new_nursery()
    await nursery.start()
    clinic, other = account(nursery=nursery), account(nursery=nursery)
    port = await clinic.paired()
    waiting = asyncio.create_task(nursery.wait())
    assert nursery.pid is not None
    os.kill(nursery.pid, signal.SIGKILL)
    assert await waiting == "was killed by signal 9"

    assert isinstance(await answer_to(port, text(number()), deadline=10), Sent)
    began = time.monotonic()
    with pytest.raises(PortStartError, match="killed by signal 9"):
        await other.open()
    assert time.monotonic() - began < 10, "nobody waits for it as long as for one that is there"
    os.kill(port.pid, signal.SIGTERM)
    assert (await clinic.exited()).reason == "killed by signal 15"

    await nursery.start()
    await other.paired()


async def test_a_nursery_that_dies_while_it_is_asked_fails_the_opening(
    account: MakeAccount, new_nursery: MakeNursery
) -> None:
    nursery = new_nursery()
    await nursery.start()
    assert nursery.pid is not None
    os.kill(nursery.pid, signal.SIGSTOP)
    openings = [asyncio.create_task(account(nursery=nursery).open()) for _ in range(3)]
    await asyncio.sleep(0)
    os.kill(nursery.pid, signal.SIGKILL)
    for outcome in await asyncio.gather(*openings, return_exceptions=True):
        assert isinstance(outcome, PortStartError)
        assert "killed by signal 9" in str(outcome)


async def test_a_nursery_that_hangs_is_killed_by_who_asks_it(account: MakeAccount, new_nursery: MakeNursery) -> None:
    nursery = new_nursery(Timings(start=5.0))
    await nursery.start()
    assert nursery.pid is not None
    os.kill(nursery.pid, signal.SIGSTOP)
    with pytest.raises(PortStartError, match="did not answer within 5 s"):
        await account(nursery=nursery).open()
    assert await asyncio.wait_for(nursery.wait(), WAIT) == "was killed: did not answer within 5 s"


async def test_a_nursery_that_hangs_is_found_out_while_nobody_asks_it(new_nursery: MakeNursery) -> None:
    nursery = new_nursery(Timings(beat=0.1, silence=3.0))
    await nursery.start()
    assert nursery.pid is not None
    os.kill(nursery.pid, signal.SIGSTOP)
    assert (await asyncio.wait_for(nursery.wait(), WAIT)).startswith("was killed: no heartbeat for 3")
    await nursery.start()


async def test_a_nursery_that_nobody_asks_lives(account: MakeAccount, new_nursery: MakeNursery) -> None:
    nursery = new_nursery(Timings(beat=0.05, silence=2.0))
    await nursery.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(nursery.wait(), 3.0)
    await account(nursery=nursery).paired()


async def test_our_own_settings_do_not_reach_the_ports(
    account: MakeAccount, new_nursery: MakeNursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTAO_VAULT__KEY", "secret")
    nursery = new_nursery()
    await nursery.start()
    port = await account(nursery=nursery).paired()
    environment = environment_of(port.pid)
    assert "NEONIZE_BOT_TAG=off" in environment
    assert not [line for line in environment if line.startswith("PLANTAO_")]


async def test_an_opening_that_is_given_up_leaves_nothing(account: MakeAccount, new_nursery: MakeNursery) -> None:
    nursery = new_nursery()
    await nursery.start()
    clinic = account(nursery=nursery)
    for delay in (0.0, 0.004, 0.012):
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await clinic.open()
        await clinic.close()
        clinic.port = None
    await clinic.paired()
