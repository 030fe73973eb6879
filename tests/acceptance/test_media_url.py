"""A service names a medium by its address on the web."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest
from aiohttp import web

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, ANA = "5511900000001", "5511888000001"
FRONT = ("acme", "reception")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 500


@pytest.fixture
def tables() -> dict[str, Any]:
    """The operator opened one address for a media server of their own."""
    return {"media": {"allow_networks": ["127.0.0.1/32"]}, "outbox": {"backoff_base": 0.05}}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server that fails at first."""
    asked = 0

    async def image(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=503) if asked == 1 else web.Response(body=PNG, content_type="image/png")

    app = web.Application()
    app.router.add_get("/laudo-ana", image)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_media_named_by_its_address_arrives_and_a_refused_address_fails_for_good(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess, url: str
) -> None:
    await phones.pair("acme", ("reception", PHONE))

    def image(id: str, address: str) -> dict[str, Any]:
        return {"v": 1, "id": id, "to": ANA, "type": "image", "media": {"url": address}}

    await service.send(*FRONT, image("there", f"{url}/laudo-ana?token=s3cr3t"))
    sent = await service.until("result", id="there")
    assert (sent["status"], sent["attempts"]) == ("sent", 2)
    (item,) = await emulator.inbox(ANA)
    assert (item.type, item.sha256) == ("image", sha256(PNG).hexdigest())

    for refused, address in (("metadata", "http://169.254.169.254/"), ("gone", f"{url}/other?token=s3cr3t")):
        await service.send(*FRONT, image(refused, address))
        failed = await service.until("result", id=refused)
        assert (failed["status"], failed["attempts"]) == ("failed", 1)
        assert (failed["error"]["code"], failed["error"]["permanent"]) == ("media_invalid", True)
    assert "s3cr3t" not in node.log
    assert "laudo-ana" not in node.log
