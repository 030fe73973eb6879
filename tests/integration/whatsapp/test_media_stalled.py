"""A media server that takes the connection and never answers: neonize would wait for ever."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.whatsapp.opener import Nursery
from gateway.whatsapp.port_process import Timings
from protocol.errors import PortGoneError
from protocol.port import Done, Failed, FetchMedia, MediaFetched, Probe, Sent
from protocol.port_events import Connected, MessageReceived, QrShown
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import WAIT, StallingProxy, answer_to, media, text

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def stalling(emulator: EmulatorProcess) -> AsyncIterator[StallingProxy]:
    async with StallingProxy(emulator.ready.proxy) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def hasty(running_emulator: EmulatorProcess) -> AsyncIterator[Nursery]:
    """Its ports abandon media after half a second, and look often."""
    python, _, _, *rest = running_emulator.ready.port_command
    command = [python, "-m", "tests.integration.whatsapp.hasty_nursery", *rest]
    nursery = Nursery(command, running_emulator.ready.env, timings=Timings(beat=0.2))
    await nursery.start()
    yield nursery
    await nursery.stop(timeout=5)


async def test_a_stalled_download_fails_alone(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, stalling: StallingProxy
) -> None:
    clinic, contact = account(), number()
    port = await clinic.open(proxy=stalling.url)
    await emulator.scan((await clinic.heard.until(QrShown)).code, clinic.phone)
    await clinic.heard.until(Connected)
    await emulator.send_image(contact, clinic.phone, b"\x89PNG an image", caption="look")
    exam = (await clinic.heard.until(MessageReceived)).media
    assert exam is not None

    fetches = [asyncio.create_task(port.call(FetchMedia(reference=exam.reference), deadline=1)) for _ in range(6)]
    await asyncio.wait_for(stalling.stalled.wait(), WAIT)
    assert isinstance(await answer_to(port, text(contact), deadline=10), Sent)
    assert await port.call(Probe(), deadline=10) == Done()
    for answer in await asyncio.gather(*fetches):
        assert isinstance(answer, Failed)
        assert answer.code == "media_unavailable"
    await port.stop(timeout=10)
    assert (await clinic.exited()).expected


async def test_a_stalled_upload_holds_up_its_own_chat_alone(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, stalling: StallingProxy
) -> None:
    clinic, contact, other = account(), number(), number()
    port = await clinic.open(proxy=stalling.url)
    await emulator.scan((await clinic.heard.until(QrShown)).code, clinic.phone)
    await clinic.heard.until(Connected)

    image = media(contact, "image", b"\x89PNG an image", "image/png")
    stuck = asyncio.create_task(answer_to(port, image, deadline=30))
    await asyncio.wait_for(stalling.stalled.wait(), WAIT)
    behind = asyncio.create_task(answer_to(port, text(contact, "after the image"), deadline=30))
    assert isinstance(await answer_to(port, text(other), deadline=10), Sent)
    assert not behind.done()
    assert not stuck.done()

    await port.stop(timeout=10)
    for answer in (await stuck, await behind):
        assert isinstance(answer, Failed)
        assert answer.code == "not_connected"
    assert await emulator.inbox(contact) == []


async def test_a_port_in_which_too_much_media_hangs_ends_and_its_successor_fetches_it(
    account: MakeAccount,
    emulator: EmulatorProcess,
    number: MakeNumber,
    stalling: StallingProxy,
    hasty: Nursery,
    running_nursery: Nursery,
) -> None:
    clinic, contact = account(nursery=hasty), number()
    port = await clinic.open(proxy=stalling.url)
    await emulator.scan((await clinic.heard.until(QrShown)).code, clinic.phone)
    await clinic.heard.until(Connected)
    await emulator.send_image(contact, clinic.phone, b"\x89PNG an image", caption="look")
    exam = (await clinic.heard.until(MessageReceived)).media
    assert exam is not None

    fetch = FetchMedia(reference=exam.reference)
    stuck = [asyncio.create_task(port.call(fetch, deadline=30)) for _ in range(8)]
    end = await clinic.exited()
    assert not end.expected
    assert end.reason.startswith("8 media transfers hang, each for more than 0.5 s: the media servers, or the proxy, ")
    assert all(isinstance(gone, PortGoneError) for gone in await asyncio.gather(*stuck, return_exceptions=True))

    clinic.nursery = running_nursery
    successor = await clinic.connected()
    assert await successor.call(fetch, deadline=20) == MediaFetched(data=b"\x89PNG an image")
