"""A window notes everything that is wrong: what it did not note is not known to be right."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.http.static import HEADERS
from tests.walk.browser import Chromium, Window, chromium
from tests.walk.looks import PHONE

_PAGE: Final = """<!doctype html><html lang="en"><head><title>Page</title>
<meta name="viewport" content="width=device-width"></head><body><main><h1>Page</h1>{}</main></body></html>"""


NOTED: Final = {
    "": "",
    "<img src='/picture'>": "axe image-alt",
    "<input>": "axe label",
    "<script>1</script>": "CSP: script-src",
    "<p style='color: red'>x</p>": "CSP: style-src",
    "<img alt='x' src='https://elsewhere.example/x.png'>": "CSP: img-src",
    "<link rel=stylesheet href='/gone'>": "status of 404",
    "<table><tr><td>" + "x" * 200 + "</td></tr></table>": "wider than the window",
}
"""What is in a page, and what is noted of it; of the first, nothing."""


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chromium]:
    """At a page that has whatever its address says."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/gone":
            raise web.HTTPNotFound
        body = _PAGE.format(request.query.get("body", ""))
        return web.Response(text=body, content_type="text/html", headers=HEADERS)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, chromium(str(server.make_url("")), tmp_path) as opened:
        yield opened


async def looked_at(window: Window, body: str) -> str:
    """What is noted of a page."""
    await window.page.goto(f"/?{urlencode({'body': body})}")
    await window.shoot("page")
    return "\n".join(window.wrong)


async def test_everything_that_is_wrong_is_noted_and_what_is_meant_is_not(browser: Chromium) -> None:
    found = {}
    for body in NOTED:
        async with browser.window(PHONE) as window:
            found[body] = await looked_at(window, body)
    assert {body: NOTED[body] in noted for body, noted in found.items()} == dict.fromkeys(NOTED, True)
    assert found[""] == ""

    async with browser.window(PHONE) as window:
        window.mean(404, "/gone")
        assert await looked_at(window, "<link rel=stylesheet href='/gone'>") == ""
