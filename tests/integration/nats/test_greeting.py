"""What a server says before any login, and what the doctor makes of it."""

import asyncio
from pathlib import Path

import pytest

from config.doctor import broker as doctor
from config.doctor.finding import Finding, Level
from config.settings import load
from gateway.nats.greeting import greeting
from gateway.nats.server_config import Tls
from protocol.errors import BusUnavailableError
from tests.broker import embedded, hand_out
from tests.emulator.certificates import write_tls_certificate


async def looked_at(url: str, accounts: Path) -> list[Finding]:
    settings = load(None, {"PLANTAO_NATS__URL": url, "PLANTAO_NATS__ACCOUNTS_FILE": str(accounts)})
    return await asyncio.to_thread(lambda: list(doctor.look(settings)))


async def test_a_server_says_its_version_and_that_it_has_jetstream(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats")
    await broker.start()
    try:
        said = await greeting(broker.server, timeout=5)
        assert (said.version[:2], said.jetstream) == ("2.", True)
        found = await looked_at(broker.server, hand_out(tmp_path / "nats"))
        assert [finding.level for finding in found] == [Level.FINE] * 3
    finally:
        await broker.stop(timeout=5)
    found = await looked_at(broker.server, hand_out(tmp_path / "nats"))
    assert [finding.level for finding in found] == [Level.WRONG]


async def test_so_does_one_with_tls(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats", tls=Tls(*write_tls_certificate(tmp_path)))
    await broker.start()
    try:
        assert (await greeting(broker.server, timeout=5)).jetstream
    finally:
        await broker.stop(timeout=5)


async def test_a_password_that_is_not_the_servers_is_told(tmp_path: Path) -> None:
    broker, other = embedded(tmp_path / "nats"), embedded(tmp_path / "other")
    await broker.start()
    await other.start()
    try:
        found = await looked_at(broker.server, hand_out(tmp_path / "other"))
        assert [finding.level for finding in found] == [Level.FINE, Level.WRONG, Level.WRONG]
        assert "plantao nats config" in found[1].mend
    finally:
        await other.stop(timeout=5)
        await broker.stop(timeout=5)


@pytest.mark.parametrize("line", [b"220 mail.example\r\n", b"INFO {\r\n", b""])
async def test_what_is_no_nats_server_is_said_to_be_none(line: bytes) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BusUnavailableError, match="is no NATS server"):
            await greeting(f"nats://127.0.0.1:{port}", timeout=5)


async def test_who_says_nothing_is_given_up() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BusUnavailableError, match="does not answer within"):
            await greeting(f"nats://127.0.0.1:{port}", timeout=0.1)
