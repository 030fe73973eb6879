"""Fetching from servers that mean ill, on loopback."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import ip_network

import pytest

from gateway.media_fetch.fetcher import WebFetcher
from protocol.errors import InvalidInputError, UnavailableError

LOOPBACK = [ip_network("127.0.0.1/32")]
PNG = b"\x89PNG" + bytes(range(256))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
LIMIT = 100_000

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Hostile:
    """Answers each connection with ``talk``. ``asked``: the requests' heads."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.talk: Talk = says(OK + b"Content-Length: %d\r\n\r\n" % len(PNG) + PNG)
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def says(answer: bytes) -> Talk:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


def redirects(*locations: str) -> Talk:
    """To each in turn; the last for ever."""
    left = list(locations)

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = left.pop(0) if len(left) > 1 else left[0]
        writer.write(
            f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n".encode()
        )
        await writer.drain()

    return talk


@pytest.fixture
async def server() -> AsyncIterator[Hostile]:
    hostile = Hostile()
    listening = await asyncio.start_server(hostile.serve, "127.0.0.1", 0)
    hostile.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/a"
    yield hostile
    listening.close()


def fetcher(**options: object) -> WebFetcher:
    return WebFetcher(**{"allow": LOOPBACK, "deadline_s": 5.0, "idle_s": 1.0, **options})  # type: ignore[arg-type]


async def get(web: WebFetcher, url: str, clinic: str = "acme") -> bytes:
    return (await web.fetch(clinic, url, kind="image", mime=None, limit=LIMIT)).data


async def test_what_is_there_is_fetched_without_saying_who_we_are(
    server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await get(fetcher(), server.url) == PNG
    (head,) = server.asked
    assert "cookie" not in head.lower()
    assert "authorization" not in head.lower()
    assert "Accept-Encoding: identity\r\n" in head


async def test_loopback_is_refused_where_nobody_opened_it(server: Hostile) -> None:
    for url in (server.url, server.url.replace("127.0.0.1", "localhost"), server.url.replace("127.0.0.1", "[::1]")):
        with pytest.raises(InvalidInputError, match="not a private"):
            await get(fetcher(allow=()), url)
    assert server.asked == []


@pytest.mark.parametrize(
    "where",
    ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.2/", "http://[::ffff:127.0.0.1]/", "http://10.0.0.1/"],
)
async def test_a_redirection_to_a_private_address_is_refused(server: Hostile, where: str) -> None:
    server.talk = redirects(where)
    with pytest.raises(InvalidInputError, match="not a private"):
        await get(fetcher(), server.url)
    assert len(server.asked) == 1


async def test_redirections_end_and_bring_no_cookies_back(server: Hostile) -> None:
    server.talk = redirects("/b")
    with pytest.raises(InvalidInputError, match="redirects at most 3"):
        await get(fetcher(), server.url)
    assert len(server.asked) == 4
    assert not any("cookie" in head.lower() for head in server.asked)


@pytest.mark.parametrize("answers", [["8.8.8.8", "10.0.0.1"], ["::1"], ["169.254.169.254"], ["fd00:ec2::254"]])
async def test_a_name_with_any_private_address_is_refused(answers: list[str]) -> None:
    async def lookup(_clinic: str, _name: str) -> Sequence[str]:
        return answers

    with pytest.raises(InvalidInputError, match="not a private"):
        await get(fetcher(lookup=lookup), "https://evil.example/")


async def test_a_name_that_changes_its_mind_is_asked_once_and_connected_to_as_checked(server: Hostile) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    async def lookup(_clinic: str, name: str) -> Sequence[str]:
        asked.append(name)
        return answers.pop(0)

    assert await get(fetcher(lookup=lookup), server.url.replace("127.0.0.1", "evil.example")) == PNG
    assert asked == ["evil.example"]
    server.talk = redirects("http://evil.example/b")
    with pytest.raises(InvalidInputError, match="not a private"):
        await get(fetcher(lookup=lookup), server.url)
    assert asked == ["evil.example"] * 2


@pytest.mark.parametrize("url", ["http://public.example/", "https://public.example:8443/", "http://8.8.8.8/"])
async def test_public_servers_are_spoken_to_over_https_at_its_port_alone(url: str) -> None:
    async def lookup(_clinic: str, _name: str) -> Sequence[str]:
        return ["8.8.8.8"]

    with pytest.raises(InvalidInputError, match="https, at port 443"):
        await get(fetcher(lookup=lookup), url)


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


@pytest.mark.parametrize(
    ("talk", "match"),
    [
        (endless, "at most 100000 bytes"),
        (says(OK + b"Content-Length: 999999999\r\n\r\n"), "at most 100000 bytes"),
        (says(OK + b"Content-Length: 0\r\n\r\n"), "not empty"),
        (says(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10_000_000))), "does not compress"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"), "a medium of type"),
        (says(b"HTTP/1.1 404 Not Found\r\n\r\n"), "answered 404"),
        (says(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n"), "answered 401"),
        (says(b"HTTP/1.1 206 Part\r\nContent-Type: image/png\r\n\r\nx"), "answered 206"),
    ],
    ids=["endless", "too large", "empty", "compressed", "page", "not there", "for others", "a part"],
)
async def test_what_can_never_be_had_is_refused(server: Hostile, talk: Talk, match: str) -> None:
    server.talk = talk
    with pytest.raises(InvalidInputError, match=match):
        await get(fetcher(), server.url)


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    "talk",
    [
        drip,
        silent,
        says(OK + b"Content-Length: 1000\r\n\r\nshort"),
        says(b"HTTP/1.1 503 Later\r\n\r\n"),
        says(b"HTTP/1.1 429 Slow\r\n\r\n"),
        says(b"nonsense\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n"),
        says(b""),
    ],
    ids=["drip", "silent", "short", "503", "429", "nonsense", "long head", "nothing"],
)
async def test_what_may_be_had_later_is_tried_again_and_the_address_is_not_told(server: Hostile, talk: Talk) -> None:
    server.talk = talk
    with pytest.raises(UnavailableError) as caught:
        await get(fetcher(deadline_s=0.6, idle_s=0.3), server.url)
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_name_that_nobody_knows_is_tried_again() -> None:
    with pytest.raises(UnavailableError, match="not known now"):
        await get(fetcher(), "https://nowhere.invalid/")


async def test_one_clinics_slow_servers_hold_up_no_other_clinic(server: Hostile) -> None:
    came, go = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(server.asked) <= 2:
            came.release()
            await go.wait()
        writer.write(OK + b"\r\n" + PNG)
        await writer.drain()

    server.talk = slow
    web = fetcher(at_once=2)
    slowed = [asyncio.create_task(get(web, server.url)) for _ in range(3)]
    await came.acquire()
    await came.acquire()
    assert await get(web, server.url, "bela") == PNG
    assert len(server.asked) == 3
    go.set()
    assert await asyncio.gather(*slowed) == [PNG] * 3
