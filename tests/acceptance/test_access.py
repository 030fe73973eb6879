"""Keys and TLS of a whole node."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.node import PLANTAO, Node, settings
from tests.emulator.certificates import write_tls_certificate
from tests.emulator.client import EmulatorProcess


async def status(node: Node, key: str, path: str = "/api/v1/clinics", **options: Any) -> int:
    headers = {"X-API-Key": key}
    async with (
        aiohttp.ClientSession(node.where["http"], headers=headers) as session,
        session.get(path, **options) as response,
    ):
        return response.status


def read(node: Node) -> str:
    return (node.data / "admin.key").read_text().strip()


async def test_keys_outlive_the_node_and_a_lost_admin_key_is_replaced_by_removing_its_file(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    node = Node(tmp_path / "node", settings(emulator.ready))
    async with node:
        await node.add("acme")
        made = json.loads(await node.cli("key", "add", "k", "--role", "viewer", "--clinic", "acme", "--json"))
        lost = read(node)
        assert await status(node, made["key"], "/api/v1/clinics/acme") == 200

    (node.data / "admin.key").unlink()
    async with node:
        assert await status(node, made["key"], "/api/v1/clinics/acme") == 200
        assert await status(node, lost) == 401
        assert await status(node, read(node)) == 200
        listed = json.loads(await node.cli("key", "list", "--json"))["items"]
        assert [key["name"] for key in listed] == ["k", "admin.key"]
        await node.cli("key", "revoke", made["id"], "--yes")

    async with node:
        assert await status(node, made["key"], "/api/v1/clinics/acme") == 401


async def test_with_a_certificate_it_may_listen_everywhere(tmp_path: Path, emulator: EmulatorProcess) -> None:
    certificate, key = write_tls_certificate(tmp_path)
    http = {"host": "0.0.0.0", "certificate": str(certificate), "key": str(key)}
    node = Node(tmp_path / "node", settings(emulator.ready, {"http": http}))
    async with node:
        assert node.where["http"].startswith("https://127.0.0.1:")
        tls = ssl.create_default_context(cafile=certificate)
        assert await status(node, read(node), ssl=tls) == 200
        assert await status(node, read(node), ssl=tls, headers={"Host": "evil.example"}) == 421
        assert "CLINIC" in await node.cli("clinic", "list")


@pytest.mark.parametrize("http", [{}, {"certificate": "nowhere.pem", "key": "nowhere.key"}])
async def test_without_tls_it_listens_nowhere_but_at_home_and_says_what_to_set(
    tmp_path: Path, http: dict[str, str]
) -> None:
    config = tmp_path / "plantao.toml"
    rows = "".join(f'{name} = "{value}"\n' for name, value in {"host": "0.0.0.0", "port": "", **http}.items() if value)
    config.write_text(f'runtime = "{tmp_path / "runtime"}"\n[http]\nport = 0\n{rows}')
    process = await asyncio.create_subprocess_exec(
        str(PLANTAO), "run", "--config", str(config), "--data", str(tmp_path / "data"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
    )  # fmt: skip

    _, said = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    assert b"http.certificate" in said
