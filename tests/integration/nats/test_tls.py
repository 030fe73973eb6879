"""TLS of the embedded broker, and to somebody else's."""

import asyncio
import ssl
from pathlib import Path

import nats
import nats.errors
import pytest

from gateway.nats.accounts import Role
from gateway.nats.bus import NatsBus
from gateway.nats.external import ExternalBroker
from gateway.nats.server_config import ClinicQuota, Tls
from gateway.nats.tls import checked
from protocol.errors import InvalidInputError
from protocol.subjects import Priority
from tests.broker import embedded
from tests.emulator.certificates import HOSTS, write_tls_certificate
from tests.integration.nats.conftest import SMALL, serving


async def test_everybody_comes_by_tls_and_we_know_our_own_server_by_its_certificate(tmp_path: Path) -> None:
    certificate, key = write_tls_certificate(tmp_path)
    quota = ClinicQuota(file_bytes=SMALL.clinic_bytes)
    broker = embedded(tmp_path / "nats", host="0.0.0.0", tls=Tls(certificate, key), quota=quota)
    await broker.start()
    bus = NatsBus(broker, retention=SMALL)
    try:
        assert broker.server.startswith("tls://127.0.0.1:")
        await bus.start()
        clinic = await serving(bus, "acme", "front")
        await clinic.enqueue("front", Priority.NORMAL, b"{}", {})
        assert len(await clinic.fetch("front", 1)) == 1
        login = broker.login("clinic-acme", Role.SERVICE)
        trusting = ssl.create_default_context(cafile=certificate)
        client = await nats.connect(login.url, tls=trusting, tls_hostname=HOSTS[0], allow_reconnect=False)
        await client.close()
    finally:
        await bus.stop(timeout=2)
        await broker.stop(timeout=5)


async def test_a_certificate_that_was_renewed_is_shown_to_who_comes_then_and_nobody_is_cut(tmp_path: Path) -> None:
    certificate, key = write_tls_certificate(tmp_path)
    old = ssl.create_default_context(cafile=certificate)
    broker = embedded(tmp_path / "nats", tls=Tls(certificate, key), quota=ClinicQuota(file_bytes=SMALL.clinic_bytes))
    await broker.start()
    try:
        url = broker.login("platform", Role.SERVICE).url
        stays = await nats.connect(url, tls=old, allow_reconnect=False)
        write_tls_certificate(tmp_path)

        await broker.renew()

        async with asyncio.timeout(10.0):
            while not await comes(url, ssl.create_default_context(cafile=certificate)):  # noqa: ASYNC110 - not told
                await asyncio.sleep(0.05)
        assert not await comes(url, old)
        await stays.flush()
        await stays.close()
    finally:
        await broker.stop(timeout=5)


async def comes(url: str, trusting: ssl.SSLContext) -> bool:
    """Whether who trusts these can connect."""
    try:
        client = await nats.connect(url, tls=trusting, allow_reconnect=False, error_cb=quiet)
    except (ssl.SSLError, OSError, nats.errors.Error):
        return False
    await client.close()
    return True


async def quiet(_error: Exception) -> None:
    """It is looked for."""


def test_what_is_no_certificate_is_named(tmp_path: Path) -> None:
    certificate, _ = write_tls_certificate(tmp_path)
    with pytest.raises(InvalidInputError, match=r"nats\.certificate"):
        checked(Tls(certificate, tmp_path / "missing"))
    with pytest.raises(InvalidInputError, match=r"nats\.certificate"):
        checked(Tls(certificate, certificate))
    accounts = tmp_path / "accounts.json"
    accounts.write_text('{"v": 1, "accounts": {}}')
    with pytest.raises(InvalidInputError, match=r"nats\.ca"):
        ExternalBroker("tls://nats.example:4222", accounts, tmp_path / "missing")
