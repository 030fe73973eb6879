"""The page as a browser gets it."""

import aiohttp
import pytest

from gateway.http.static import HEADERS, read_page
from gateway.http.surround import HEADERS as OF_ALL


async def test_it_is_open_and_may_do_but_what_is_its_own(stranger: aiohttp.ClientSession) -> None:
    async with stranger.get("/") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        assert await response.read() == read_page()["index.html"].body
        assert {name: response.headers[name] for name in OF_ALL} == {**OF_ALL, **HEADERS}
    async with stranger.get("/health") as response:
        assert response.headers["Content-Security-Policy"] == OF_ALL["Content-Security-Policy"]


@pytest.mark.parametrize("name", read_page())
async def test_each_file_is_sent_once_and_then_only_said_to_be_the_same(
    stranger: aiohttp.ClientSession, name: str
) -> None:
    path, file = f"/page/{name}", read_page()[name]
    async with stranger.get(path) as response:
        assert response.headers["Content-Type"] == file.content_type
        assert await response.read() == file.body
        etag = response.headers["ETag"]
    strong = etag.removeprefix("W/")
    for known, status in ((etag, 304), (strong, 304), (f'"other", {etag}', 304), ('"other"', 200), ("*", 304)):
        async with stranger.get(path, headers={"If-None-Match": known}) as response:
            assert (response.status, response.headers["ETag"]) == (status, etag)
            assert response.headers["Cache-Control"] == "no-cache"
    async with stranger.head(path) as response:
        assert (response.status, int(response.headers["Content-Length"])) == (200, len(file.packed))


async def test_it_is_compressed_for_whoever_takes_that(stranger: aiohttp.ClientSession) -> None:
    for takes, encoding in (("gzip, br", "gzip"), ("identity", None)):
        async with stranger.get("/page/main.js", headers={"Accept-Encoding": takes}) as response:
            assert response.headers.get("Content-Encoding") == encoding
            assert response.headers["Vary"] == "Accept-Encoding"
            assert await response.read() == read_page()["main.js"].body


@pytest.mark.parametrize(
    "path", ["/page/nothing.js", "/page/..%2fstatic.py", "/page/", "/page/__init__.py", "/page/index.html%00"]
)
async def test_nothing_else_is_to_be_had(stranger: aiohttp.ClientSession, path: str) -> None:
    async with stranger.get(path) as response:
        assert response.status in (401, 404)
        assert response.content_type == "application/problem+json"
