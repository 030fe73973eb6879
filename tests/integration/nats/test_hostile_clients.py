"""A clinic's credential in the hands of somebody hostile: plain nats-py against the real server.

Whatever is tried is tried with every kind of login of the clinic ``evil``; whatever may not be touched is looked at
afterwards by Plantão's own login.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import Error as JetStreamError

from gateway.nats.accounts import Kind, Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.logins import Logins
from protocol.commands import utc_now
from protocol.subjects import Priority
from tests.flushing import settle
from tests.integration.nats.conftest import Connect, on_platform, serving

EVIL, GOOD = "clinic-evil", "clinic-good"
SECRET = b"what a patient of the clinic good has written"
SEND = "clinic.good.channel.front.send"
EVENT = "clinic.good.channel.front.event.message"
RPC = "clinic.good.channel.front.rpc.status"
SHORT = 0.3
_FAILURES = (nats.errors.Error, JetStreamError, TimeoutError)


@dataclass
class Intruder:
    """A plain client; ``refused`` is what the server said no to, ``heard`` what came to any subscription of it."""

    client: Client
    inbox: str
    refused: list[str] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    async def listen(self, subject: str) -> None:
        async def hear(message: Msg) -> None:
            self.heard.append(message.data)

        await self.client.subscribe(subject, cb=hear)
        await settle(self.client)


@dataclass
class Scene:
    """The victim's clinic, watched by Plantão's own logins."""

    good: Client
    platform: Client

    async def streams(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """What each stream of both accounts holds."""
        found = {}
        for name, client in (("good", self.good), ("platform", self.platform)):
            for stream in await client.jetstream().streams_info():
                subjects = tuple(stream.config.subjects or [])
                found[f"{name}/{stream.config.name}"] = (stream.state.messages, subjects)
        return found


@pytest.fixture(params=[*Kind, "default"])
async def intruder(request: pytest.FixtureRequest, broker: EmbeddedBroker, scene: Scene) -> AsyncIterator[Intruder]:
    """With a login of each kind, and with the one that every account has."""
    if request.param == "default":
        url, prefix = broker.login(EVIL, Role.SERVICE).url, "_INBOX"
    else:
        login = await Logins(broker, utc_now).issue(EVIL, "intruder", request.param, None)
        url, prefix = login.url, login.inbox_prefix
    found: list[Intruder] = []

    async def refused(error: Exception) -> None:
        found[0].refused.append(str(error))

    client = await nats.connect(url, inbox_prefix=prefix.encode(), allow_reconnect=False, error_cb=refused)
    found.append(Intruder(client, prefix))
    yield found[0]
    with suppress(*_FAILURES):
        await client.close()


@pytest.fixture
async def scene(bus: NatsBus, connect: Connect) -> Scene:
    """Both clinics at work; the good one has events, media, and a command that waits."""
    await serving(bus, "evil", "front")
    good = await serving(bus, "good", "front")
    plantao = await connect(GOOD, Role.PLANTAO)
    js = plantao.jetstream()
    await js.publish(EVENT, SECRET)
    await js.publish("clinic.good.channel.front.dead", SECRET)
    await (await js.object_store("media")).put("scan", SECRET)
    await js.create_key_value(bucket="notes")
    await good.enqueue("front", Priority.NORMAL, SECRET, {})
    platform = await connect("platform", Role.PLANTAO)
    await on_platform(platform, 2)
    return Scene(plantao, platform)


Try = Callable[[Intruder], Awaitable[object]]


def publish(subject: str, body: bytes = b"{}", reply: str = "") -> Try:
    """Without waiting for an answer."""

    async def attempt(intruder: Intruder) -> None:
        await intruder.client.publish(subject, body, reply=reply)
        await settle(intruder.client)
        await asyncio.sleep(0.05)

    return attempt


def ask(subject: str, body: bytes = b"") -> Try:
    """A request; any answer but an error of JetStream's is a success."""

    async def attempt(intruder: Intruder) -> None:
        answer = await intruder.client.request(subject, body, timeout=SHORT)
        if answer.data.startswith(b"{") and "error" in json.loads(answer.data):
            raise nats.errors.Error(answer.data.decode())

    return attempt


def fetch(stream: str) -> Try:
    """By a consumer."""

    async def attempt(intruder: Intruder) -> None:
        subscription = await intruder.client.jetstream(timeout=SHORT).pull_subscribe(
            "clinic.good.>", durable="spy", stream=stream
        )
        intruder.heard += [message.data for message in await subscription.fetch(10, timeout=SHORT)]

    return attempt


async def _media(intruder: Intruder) -> None:
    store = await intruder.client.jetstream(timeout=SHORT).object_store("media")
    intruder.heard.append((await store.get("scan")).data or b"")


async def _key_value(intruder: Intruder) -> None:
    await (await intruder.client.jetstream(timeout=SHORT).key_value("notes")).put("x", b"y")


async def _registry(intruder: Intruder) -> None:
    bucket = await intruder.client.jetstream(timeout=SHORT).key_value("plantao_registry")
    intruder.heard.append((await bucket.get("clinic.good")).value or b"")


async def _own_stream(intruder: Intruder) -> None:
    await intruder.client.jetstream(timeout=SHORT).add_stream(name="mine", subjects=["clinic.good.>"])


async def _own_bucket(intruder: Intruder) -> None:
    await intruder.client.jetstream(timeout=SHORT).create_key_value(bucket="mine")


REFUSED: dict[str, Try] = {
    "to send for another": ask(SEND, b"{}"),
    "to send for another with priority": ask(f"{SEND}.high", b"{}"),
    "to ask another's channel": ask(RPC),
    "to ask another clinic": ask("clinic.good.rpc.stats"),
    "to make a stream of another's subjects": _own_stream,
    "to make a bucket": _own_bucket,
    "another's key-value bucket": _key_value,
    "the registry": _registry,
    "another's media": _media,
    "another's events by a consumer": fetch("events"),
    "another's dead letters by a consumer": fetch("dead"),
    "the queue by a consumer": fetch("send"),
    "the queue's next message": ask("$JS.API.CONSUMER.MSG.NEXT.send.front-normal", b"1"),
    "the system's connections": ask("$SYS.REQ.SERVER.PING.CONNZ"),
    "the system's accounts": ask("$SYS.REQ.ACCOUNT.clinic-good.CONNZ"),
    "the system's account of JetStream": ask("$SYS.REQ.ACCOUNT.clinic-good.JSZ"),
    "to reload the server": ask("$SYS.REQ.SERVER.PING.RELOAD"),
    "to delete its own stream": ask("$JS.API.STREAM.DELETE.events"),
    "to purge its own queue": ask("$JS.API.STREAM.PURGE.send"),
    "to change its own stream": ask("$JS.API.STREAM.UPDATE.events", b'{"name": "events"}'),
    "to restore a stream": ask("$JS.API.STREAM.RESTORE.good", b"{}"),
    "the platform's stream through JetStream's API of an account": ask("$JS.platform.API.STREAM.INFO.events"),
    "JetStream's API of another account": ask("$JS.clinic-good.API.STREAM.INFO.events"),
    "to purge JetStream's account": ask("$JS.API.ACCOUNT.PURGE.clinic-good"),
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED.keys())
async def test_it_is_refused(intruder: Intruder, scene: Scene, attempt: Try) -> None:
    before = await scene.streams()
    with pytest.raises(_FAILURES):
        await attempt(intruder)
    assert SECRET not in intruder.heard
    assert await scene.streams() == before


OVERHEARD = (
    ">",
    "*",
    "clinic.>",
    "clinic.good.>",
    EVENT,
    SEND,
    RPC,
    "clinic.evil.channel.*.rpc.*",
    "clinic.evil.channel.*.send",
    "_INBOX_plantao.>",
    "_INBOX_clinic-good.>",
    "_INBOX_clinic-evil.other.>",
    "_R_.>",
    "$SYS.>",
    "$JS.>",
    "$JS.API.>",
    "$JS.EVENT.>",
    "$JS.ACK.>",
    "$KV.>",
    "$O.>",
    "$SRV.>",
)


async def test_it_overhears_nothing(intruder: Intruder, scene: Scene, bus: NatsBus) -> None:
    """Neither what another clinic says, nor what others in its own account ask and are answered."""
    for subject in OVERHEARD:
        await intruder.listen(subject)
    assert len(intruder.refused) == len(OVERHEARD)
    await scene.good.publish(EVENT, SECRET)
    await bus.clinic("evil").enqueue("front", Priority.NORMAL, SECRET, {})
    await bus.clinic("good").enqueue("front", Priority.NORMAL, SECRET, {})
    await settle(scene.good)
    await settle(intruder.client)
    assert intruder.heard == []


REPLY_TO = (
    SEND,
    EVENT,
    "clinic.good.channel.front.dead",
    "$JS.API.STREAM.PURGE.events",
    "$JS.API.STREAM.DELETE.events",
    "$JS.API.STREAM.DELETE.KV_plantao_registry",
    "$JS.API.STREAM.DELETE.OBJ_media",
    "$SYS.REQ.SERVER.PING.RELOAD",
    "$KV.plantao_registry.clinic.good",
    "_INBOX_plantao.x",
)
"""Subjects that belong to another clinic, to ``platform`` or to the node: as a reply they mean the clinic's own."""
ASKED = (
    "clinic.evil.channel.front.send",
    "clinic.evil.channel.front.rpc.status",
    "clinic.evil.rpc.channels",
    "$JS.API.INFO",
    "$JS.API.STREAM.INFO.events",
    "$JS.API.CONSUMER.MSG.NEXT.events.x",
)


async def test_the_reply_subject_trick_does_not_leave_its_account(intruder: Intruder, scene: Scene) -> None:
    before = await scene.streams()
    for asked in ASKED:
        for reply in REPLY_TO:
            await intruder.client.publish(asked, b"{}", reply=reply)
    await settle(intruder.client)
    await asyncio.sleep(0.3)
    assert await scene.streams() == before


async def test_a_consumer_that_delivers_to_anothers_subject_delivers_within_its_account(
    intruder: Intruder, scene: Scene, bus: NatsBus
) -> None:
    before = await scene.streams()
    for number, target in enumerate(REPLY_TO):
        config = {"stream_name": "events", "config": {"deliver_subject": target, "ack_policy": "none"}}
        await intruder.client.publish("$JS.API.CONSUMER.CREATE.events", json.dumps(config).encode(), reply=f"x{number}")
    await settle(intruder.client)
    evil = await bus.open_clinic("evil")
    assert evil is bus.clinic("evil")
    await asyncio.sleep(0.3)
    assert await scene.streams() == before


async def test_what_the_platform_asks_cannot_be_answered_by_a_clinic(intruder: Intruder, scene: Scene) -> None:
    await intruder.listen("clinic.evil.channel.*.rpc.*")
    with suppress(*_FAILURES):
        await scene.platform.request("clinic.evil.channel.front.rpc.status", timeout=SHORT)
    assert intruder.heard == []


async def test_its_connections_and_subscriptions_are_counted(
    broker: EmbeddedBroker, scene: Scene, connect: Connect
) -> None:
    opened = [await connect(EVIL) for _ in range(62)]
    refused = [Client() for _ in range(3)]
    entered = await asyncio.gather(*(_enters(client, broker.login(EVIL).url) for client in refused))
    assert not all(entered)
    for client in (*refused, *opened):
        await client.close()
    assert (await connect(GOOD)).is_connected


async def _enters(client: Client, url: str) -> bool:
    try:
        await client.connect(url, allow_reconnect=False, error_cb=_ignore)
    except (nats.errors.Error, OSError):
        return False
    return True


async def _ignore(error: Exception) -> None:
    """The client library prints what nobody handles."""
