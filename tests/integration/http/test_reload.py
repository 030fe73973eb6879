"""The settings read again: over HTTP, by the command line, and what of the endpoint's rules holds then."""

import json
import ssl
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

from config import serving
from config.settings import load
from gateway.access.api_keys import ApiKeys
from gateway.http.origins import Origins
from gateway.http.server import AdminServer
from protocol.errors import InvalidInputError
from tests.emulator.certificates import write_tls_certificate
from tests.fakes.memory_audit import MemoryAudit
from tests.integration.http.conftest import LIMITS, Plantao
from tests.integration.http.test_routes import API, ask
from tests.unit.gateway.http.fake_node import FakeReloading, fake_backends

RELOAD = f"{API}/reload"
PAGE = "https://painel.example"


async def test_it_says_what_holds_now_and_what_takes_a_restart(
    operator: aiohttp.ClientSession, audit: MemoryAudit
) -> None:
    assert await ask(operator, "POST", RELOAD) == (200, {"changed": ["log.level"], "restart": ["nats.port"]})
    assert "settings.reload" in {entry.action for entry in await audit.entries(None, before=None, limit=9)}


async def test_settings_that_are_wrong_are_named(operator: aiohttp.ClientSession, reloading: FakeReloading) -> None:
    reloading.error = InvalidInputError("pacing.per_minute", "a number")

    status, problem = await ask(operator, "POST", RELOAD)

    assert (status, problem["field"], problem["expected"]) == (400, "pacing.per_minute", "a number")


async def test_the_command_line_says_it_for_people_and_for_programs(plantao: Plantao, reloading: FakeReloading) -> None:
    people, programs = await plantao("reload"), await plantao("reload", "--json")
    reloading.error = InvalidInputError("log.level", "one of debug, info, warning, error")
    refused = await plantao("reload")

    assert people.stdout == "In force: log.level.\nThese differ and take a restart: nats.port.\n"
    assert json.loads(programs.stdout) == {"changed": ["log.level"], "restart": ["nats.port"]}
    assert (refused.exit_code, "log.level: expected one of" in refused.stderr) == (2, True)


async def test_limits_and_origins_hold_for_requests_that_come_then(
    server: AdminServer, operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession
) -> None:
    foreign = {"Origin": PAGE}
    assert (await ask(operator, "POST", RELOAD, headers=foreign))[0] == 403

    server.change(
        replace(LIMITS, address_requests=1, key_requests=3),
        Origins(hosts=frozenset(["painel.example"]), allowed=frozenset([PAGE])),
    )

    assert (await ask(operator, "POST", RELOAD, headers=foreign))[0] == 200
    assert (await ask(operator, "GET", f"{API}/keys", headers={"Host": "painel.example"}))[0] == 200
    made = (await ask(operator, "POST", f"{API}/keys", json={"name": "k", "role": "viewer"}))[1]["key"]
    mine = {"Authorization": f"Bearer {made}"}
    assert [(await ask(stranger, "GET", f"{API}/clinics", headers=mine))[0] for _ in range(4)] == [200, 200, 200, 429]
    assert [(await ask(stranger, "GET", f"{API}/clinics"))[0] for _ in range(2)] == [401, 429]


async def test_limits_hold_over_a_restart_of_the_endpoint(server: AdminServer, stranger: aiohttp.ClientSession) -> None:
    server.change(replace(LIMITS, address_requests=1), Origins())

    await server.start()

    assert [(await ask(stranger, "GET", f"{API}/clinics"))[0] for _ in range(2)] == [401, 429]


async def status(url: str, trusted: Path) -> int:
    """Of a new connection."""
    tls = ssl.create_default_context(cafile=trusted)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health", ssl=tls) as response:
        return response.status


async def test_a_certificate_that_was_renewed_is_shown_to_who_comes_then(tmp_path: Path, keys: ApiKeys) -> None:
    certificate, key = write_tls_certificate(tmp_path)
    settings = load(
        None, {"PLANTAO_HTTP__CERTIFICATE": str(certificate), "PLANTAO_HTTP__KEY": str(key), "PLANTAO_HTTP__PORT": "0"}
    )
    shown = serving.certificate(settings.http)
    server = serving.admin(settings, fake_backends(keys=keys), shown)
    await server.start()
    old = tmp_path / "old.pem"
    old.write_bytes(certificate.read_bytes())
    try:
        assert await status(server.url, old) == 200
        certificate.write_text("no certificate")
        with pytest.raises(InvalidInputError, match=r"http\.certificate"):
            serving.take(server, shown, settings)
        assert await status(server.url, old) == 200

        write_tls_certificate(tmp_path)
        serving.take(server, shown, settings)()

        assert await status(server.url, certificate) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status(server.url, old)
        assert shown is not None
        assert shown.pem == certificate.read_bytes()
    finally:
        await server.stop(timeout=1.0)
