"""What lies on the disk: nothing in clear, and what an earlier version left there in clear is taken over."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext

from gateway.nats import credentials
from gateway.nats.accounts import Accounts, Role
from gateway.nats.server_config import ClinicQuota, accounts_config
from gateway.nats.server_process import find_program
from gateway.vault.keys import new_key
from protocol.errors import StoreUnavailableError
from tests.broker import NODE_KEY, embedded

BODY = b"Maria, sua consulta foi remarcada"


@asynccontextmanager
async def stream_context(url: str) -> AsyncIterator[JetStreamContext]:
    """JetStream of an account."""
    nc = await nats.connect(url, allow_reconnect=False)
    try:
        yield nc.jetstream()
    finally:
        await nc.close()


@asynccontextmanager
async def earlier_version(directory: Path, accounts: Accounts) -> AsyncIterator[str]:
    """A server as an earlier version ran it: nothing encrypted. Its port."""
    credentials.save(directory / "accounts.json", accounts)
    config = directory / "server.conf"
    own = f'host: "127.0.0.1"\nport: -1\nports_file_dir: "{directory}"\njetstream {{ store_dir: "{directory}" }}\n'
    config.write_text(own + accounts_config(accounts, ClinicQuota(file_bytes=64 << 20)))
    command = [str(find_program()), "-c", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: ASYNC220 - it begins at once
    assert process.stderr is not None
    try:
        address = next(line for line in process.stderr if "Listening for client connections" in line).split()[-1]
        next(line for line in process.stderr if "Server is ready" in line)
        yield address
    finally:
        process.terminate()
        process.communicate()


def found_in(directory: Path, *secrets: bytes) -> list[Path]:
    """The files below ``directory`` that hold one of ``secrets``."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in files if any(secret in path.read_bytes() for secret in secrets)]


async def test_what_an_earlier_version_left_in_clear_is_taken_over_whole_and_is_in_clear_no_more(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "nats"
    directory.mkdir()
    accounts = Accounts.fresh().with_clinic("acme")
    login = accounts.find("clinic-acme", Role.PLANTAO)
    async with (
        earlier_version(directory, accounts) as address,
        stream_context(f"nats://{login.user}:{login.password}@{address}") as js,
    ):
        await js.add_stream(name="events", subjects=["clinic.acme.>"])
        for number in range(50):
            await js.publish(f"clinic.acme.{number}", BODY)
        own = await js.pull_subscribe("clinic.acme.>", durable="own", config=ConsumerConfig(ack_policy=AckPolicy.ALL))
        await (await own.fetch(20))[-1].ack_sync()
        await (await js.create_object_store("media")).put("scan", BODY * 100)
    passwords = [one.password.encode() for there in accounts.accounts.values() for one in there.values()]
    assert found_in(directory, BODY)
    assert found_in(directory, *passwords)

    broker = embedded(directory, quota=ClinicQuota(file_bytes=64 << 20))
    await broker.start()
    try:
        async with stream_context(broker.login("clinic-acme").url) as js:
            assert (await js.stream_info("events")).state.messages == 50
            assert (await js.get_last_msg("events", "clinic.acme.49")).data == BODY
            again = await js.pull_subscribe_bind("own", "events")
            assert [message.subject for message in await again.fetch(1)] == ["clinic.acme.20"]
            assert (await (await js.object_store("media")).get("scan")).data == BODY * 100
            await js.publish("clinic.acme.50", BODY)
        assert not found_in(directory, BODY, *passwords, NODE_KEY.derive("jetstream").hex().encode())
        assert not (directory / "accounts.json").exists()
    finally:
        await broker.stop(timeout=5)
    assert not found_in(directory, BODY, *passwords)


async def test_no_block_of_a_large_stream_stays_in_clear_nor_what_was_deleted_in_it(tmp_path: Path) -> None:
    directory = tmp_path / "nats"
    directory.mkdir()
    accounts = Accounts.fresh().with_clinic("acme")
    login = accounts.find("clinic-acme", Role.PLANTAO)
    async with (
        earlier_version(directory, accounts) as address,
        stream_context(f"nats://{login.user}:{login.password}@{address}") as js,
    ):
        await js.add_stream(name="events", subjects=["clinic.acme.>"], max_bytes=24 << 20)
        for number in range(1, 301):
            await js.publish(f"clinic.acme.{number}", BODY + os.urandom(30_000))
        for number in range(2, 301, 7):
            await js.delete_msg("events", number)
    assert len([path for path in found_in(directory, BODY) if path.suffix == ".blk"]) > 2
    broker = embedded(directory, quota=ClinicQuota(file_bytes=64 << 20))
    await broker.start()
    try:
        assert not found_in(directory, BODY)
        async with stream_context(broker.login("clinic-acme").url) as js:
            left = [number for number in range(1, 301) if number % 7 != 2]
            assert (await js.stream_info("events")).state.messages == len(left)
            for number in left:
                assert ((await js.get_msg("events", number)).data or b"").startswith(BODY)
    finally:
        await broker.stop(timeout=5)
    assert not found_in(directory, BODY)


async def test_with_another_nodes_key_nothing_is_started_and_nothing_lost(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats")
    await broker.start()
    await broker.stop(timeout=5)
    sealed = (tmp_path / "nats" / "accounts").read_bytes()
    broker = type(broker)(tmp_path / "nats", key=new_key(), runtime=tmp_path / "nats-run")
    with pytest.raises(StoreUnavailableError, match=r"accounts cannot be opened.*node\.key"):
        await broker.start()
    assert (tmp_path / "nats" / "accounts").read_bytes() == sealed
