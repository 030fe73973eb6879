"""Logins that are issued: what each kind is good for, and that it is good for nothing once it is rotated or revoked."""

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client

import gateway.nats.broker as module
from gateway.nats.accounts import Kind, Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.logins import Logins, LoginWithPassword
from gateway.nats.server_config import ClinicQuota
from protocol.commands import utc_now
from protocol.errors import BusUnavailableError, ConflictError, InvalidInputError, NotFoundError
from protocol.subjects import Priority
from tests.broker import embedded
from tests.flushing import settle
from tests.integration.nats.conftest import SMALL, Connect, crash, serving

ACME, PLATFORM = "clinic-acme", "platform"
SEND, EVENT = "clinic.acme.channel.front.send", "clinic.acme.channel.front.event.message"

Enter = Callable[[LoginWithPassword], Awaitable[Client]]


class Clock:
    """Stands still until it is set, so that no login expires before somebody is in by it."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def broker(tmp_path: Path, clock: Clock) -> AsyncIterator[EmbeddedBroker]:
    """Started; looks at ``clock`` for which logins are valid."""
    made = embedded(tmp_path / "nats", quota=ClinicQuota(file_bytes=SMALL.clinic_bytes), clock=clock)
    await made.start()
    yield made
    await made.stop(timeout=5)


@pytest.fixture
def logins(broker: EmbeddedBroker) -> Logins:
    return Logins(broker, utc_now)


@pytest.fixture
async def enter() -> AsyncIterator[Enter]:
    """Connects by a login, as a service that was given it."""

    async def ignore(error: Exception) -> None:
        """The client library prints what nobody handles."""

    async with AsyncExitStack() as opened:

        async def connect(login: LoginWithPassword) -> Client:
            client = Client()
            opened.push_async_callback(client.close)
            prefix = login.inbox_prefix.encode()
            await client.connect(login.url, inbox_prefix=prefix, allow_reconnect=False, error_cb=ignore)
            return client

        yield connect


async def until_closed(client: Client) -> None:
    """Returns when the server has cut ``client`` off."""
    async with asyncio.timeout(20):
        while not client.is_closed:  # noqa: ASYNC110 - it says so to nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("account", [ACME, PLATFORM])
async def test_a_sender_sends_and_hears_nothing(bus: NatsBus, logins: Logins, enter: Enter, account: str) -> None:
    clinic = await serving(bus, "acme", "front")
    sender = await enter(await logins.issue(account, "reminders", Kind.SENDER, None))
    assert (await sender.jetstream().publish(SEND, b"{}")).stream == "send"
    assert [one.body for one in await clinic.fetch("front", 1)] == [b"{}"]
    if account == ACME:
        await (await sender.jetstream().object_store("media")).put("scan", b"paper")
    with pytest.raises((nats.errors.Error, TimeoutError)):
        await sender.jetstream(timeout=0.3).pull_subscribe("clinic.>", durable="x", stream="events")


@pytest.mark.parametrize("account", [ACME, PLATFORM])
async def test_a_listener_follows_events_and_sends_nothing(
    bus: NatsBus, logins: Logins, enter: Enter, connect: Connect, account: str
) -> None:
    await serving(bus, "acme", "front")
    listener = await enter(await logins.issue(account, "panel", Kind.LISTENER, None))
    durable = await listener.jetstream().pull_subscribe("clinic.>", durable="panel", stream="events")
    live = await listener.subscribe("clinic.acme.channel.*.event.>")
    await settle(listener)
    plantao = await connect(ACME, Role.PLANTAO)
    await plantao.jetstream().publish(EVENT, b"hello")
    [message] = await durable.fetch(1, timeout=5)
    await message.ack_sync(timeout=5)
    assert (await live.next_msg(timeout=5)).data == message.data == b"hello"
    ordered = await listener.jetstream().subscribe("clinic.>", stream="events", ordered_consumer=True)
    assert (await ordered.next_msg(timeout=5)).data == b"hello"
    if account == ACME:
        await (await plantao.jetstream().object_store("media")).put("scan", b"paper")
        assert (await (await listener.jetstream().object_store("media")).get("scan")).data == b"paper"
    with pytest.raises((nats.errors.Error, TimeoutError)):
        await listener.jetstream(timeout=0.3).publish(SEND, b"{}", timeout=0.3)


@pytest.mark.parametrize("kind", [Kind.SERVICE, None])
async def test_a_service_does_what_the_examples_do(
    bus: NatsBus, logins: Logins, enter: Enter, connect: Connect, kind: Kind | None
) -> None:
    clinic = await serving(bus, "acme", "front")
    service = await connect(ACME) if kind is None else await enter(await logins.issue(ACME, "bot", kind, None))
    events = await service.jetstream().pull_subscribe(EVENT, durable="autoresponder", stream="events")
    await (await connect(ACME, Role.PLANTAO)).jetstream().publish(EVENT, b"oi")
    [message] = await events.fetch(1, timeout=5)
    await service.jetstream().publish(SEND, b"{}")
    await message.ack()
    assert len(await clinic.fetch("front", 1)) == 1
    store = await service.jetstream().object_store("media")
    for body in (b"first", b"second"):
        await store.put("scan", body)
    assert (await store.get("scan")).data == b"second"
    assert json.loads((await service.request("$JS.API.STREAM.INFO.send", timeout=5)).data)["state"]["messages"] == 1


async def test_a_revoked_login_is_cut_off_at_once_and_its_neighbours_are_not(
    bus: NatsBus, logins: Logins, enter: Enter
) -> None:
    clinic = await serving(bus, "acme", "front")
    goes, stays = [await enter(await logins.issue(ACME, name, Kind.SERVICE, None)) for name in ("goes", "stays")]
    login = await logins.issue(ACME, "late", Kind.SERVICE, None)
    await logins.revoke(ACME, "goes")
    await until_closed(goes)
    await stays.flush()
    await clinic.enqueue("front", Priority.NORMAL, b"{}", {})
    await logins.revoke(ACME, "late")
    with pytest.raises(nats.errors.Error, match="Authorization"):
        await enter(login)
    assert [one.name for one in logins.all(ACME)] == ["service", "stays"]
    with pytest.raises(NotFoundError, match="goes"):
        await logins.revoke(ACME, "goes")


async def test_rotating_a_login_ends_the_old_password_and_who_was_in_by_it(
    bus: NatsBus, logins: Logins, enter: Enter
) -> None:
    await serving(bus, "acme", "front")
    old = await logins.issue(PLATFORM, "panel", Kind.LISTENER, None)
    inside = await enter(old)
    new = await logins.rotate(PLATFORM, "panel")
    await until_closed(inside)
    with pytest.raises(nats.errors.Error, match="Authorization"):
        await enter(old)
    await (await enter(new)).flush()


async def test_a_login_that_expires_is_cut_off_when_it_does(
    bus: NatsBus, logins: Logins, enter: Enter, clock: Clock
) -> None:
    await serving(bus, "acme", "front")
    clock.now, end = utc_now(), utc_now() + timedelta(seconds=1)
    inside = await enter(await logins.issue(ACME, "today", Kind.SENDER, end))
    await inside.flush()
    clock.now = end
    await until_closed(inside)
    [login] = [one for one in logins.all(ACME) if one.name == "today"]
    assert login.expired
    with pytest.raises(InvalidInputError, match="to come"):
        await logins.issue(ACME, "gone", Kind.SENDER, utc_now())


async def test_logins_outlive_the_server(broker: EmbeddedBroker, logins: Logins, enter: Enter) -> None:
    await broker.ensure_account("acme")
    login = await logins.issue(ACME, "reminders", Kind.SENDER, None)
    await crash(broker)
    with pytest.raises(BusUnavailableError, match="not running"):
        await logins.issue(ACME, "other", Kind.SENDER, None)
    await broker.start()
    await (await enter(login)).flush()
    assert [one.name for one in logins.all(ACME)] == ["reminders", "service"]


async def test_logins_of_a_server_that_is_not_ours_are_not_ours_to_change() -> None:
    with pytest.raises(ConflictError, match="nats config"):
        Logins(None, utc_now).all(ACME)


async def test_a_clinic_that_holds_all_its_connections_does_not_hold_up_changes_of_logins(
    bus: NatsBus, logins: Logins, enter: Enter
) -> None:
    await serving(bus, "acme", "front")
    held = await logins.issue(ACME, "hog", Kind.LISTENER, None)
    with suppress(nats.errors.Error):
        for _ in range(ClinicQuota().connections):
            await enter(held)
    async with asyncio.timeout(20):
        await logins.issue(ACME, "panel", Kind.LISTENER, None)
        await logins.revoke(ACME, "panel")
    assert [view.name for view in logins.all(ACME)] == ["hog", "service"]


async def test_a_login_that_could_not_be_revoked_is_still_there_to_be_revoked(
    broker: EmbeddedBroker, bus: NatsBus, logins: Logins, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serving(bus, "acme", "front")
    client = await enter(await logins.issue(ACME, "panel", Kind.LISTENER, None))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "accounts")

    with monkeypatch.context() as patched:
        patched.setattr(broker._files, "write", full)
        with pytest.raises(BusUnavailableError, match="No space left"):
            await logins.revoke(ACME, "panel")
    assert [view.name for view in logins.all(ACME)] == ["panel", "service"]
    await logins.revoke(ACME, "panel")
    await until_closed(client)


async def test_what_expires_while_the_disk_is_full_is_cut_off_when_it_is_not(
    broker: EmbeddedBroker, bus: NatsBus, logins: Logins, enter: Enter, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serving(bus, "acme", "front")
    clock.now, end = utc_now(), utc_now() + timedelta(seconds=1)
    client = await enter(await logins.issue(ACME, "panel", Kind.LISTENER, end))
    failed = asyncio.Event()
    write = broker._files.write

    def once_full(*given: Any) -> None:
        if not failed.is_set():
            loop.call_soon_threadsafe(failed.set)
            raise OSError(errno.ENOSPC, "No space left on device", "accounts")
        write(*given)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(module, "_EXPIRY_AGAIN", 0.1)
    monkeypatch.setattr(broker._files, "write", once_full)
    clock.now = end
    await asyncio.wait_for(failed.wait(), 20)
    await until_closed(client)
