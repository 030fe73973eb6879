"""A real Prometheus that scrapes one node, by the example of a configuration and with the alerts."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from tests.deploy.rules import PROMETHEUS

READY_TIMEOUT_S: Final = 30.0
_LOOK_S: Final = 0.1
"""It tells nobody when it is ready or has scraped."""
_LISTENS: Final = re.compile(r'msg="Listening on" address=(\S+)\s')
_NEVER: Final = "0001-"
"""How Go's zero time begins."""


class Prometheus:
    """``target`` is the node's address; ``key`` goes into the file that the configuration names."""

    def __init__(self, directory: Path, target: str, key: str) -> None:
        directory.mkdir()
        (directory / "plantao.key").write_text(key)
        shutil.copy(PROMETHEUS / "alerts.yml", directory)
        text = (PROMETHEUS / "prometheus.yml").read_text()
        for example, here in (
            ("/etc/prometheus/plantao.key", str(directory / "plantao.key")),
            ("127.0.0.1:8080", target),
            ("scrape_timeout: 10s", "scrape_timeout: 2s"),
            ("_interval: 15s", "_interval: 2s"),
        ):
            assert example in text
            text = text.replace(example, here)
        (directory / "prometheus.yml").write_text(text)
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        with (self._directory / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                "prometheus",
                f"--config.file={self._directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._directory / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={"PATH": os.environ["PATH"], "GOMAXPROCS": "1"},
            )
        async with asyncio.timeout(READY_TIMEOUT_S):
            while (address := self._address()) is None:  # noqa: ASYNC110 - not an event
                await asyncio.sleep(_LOOK_S)
            self._http = aiohttp.ClientSession(f"http://{address}")
            while not await self._ready():  # noqa: ASYNC110 - not an event
                await asyncio.sleep(_LOOK_S)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        assert self._process is not None
        await self._http.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()

    async def ask(self, path: str, **query: str) -> Any:
        """``data`` of an answer of its API; AssertionError with what it says if that is an error."""
        assert self._http is not None
        async with self._http.get(f"/api/v1/{path}", params=query) as response:
            answer = await response.json()
            assert answer["status"] == "success", answer
            return answer["data"]

    async def scraped(self) -> None:
        """Return when it has read the node (again)."""
        before = await self._last_scrape()
        async with asyncio.timeout(READY_TIMEOUT_S):
            while await self._last_scrape() == before:  # noqa: ASYNC110 - not an event
                await asyncio.sleep(_LOOK_S)

    async def target(self) -> dict[str, Any]:
        """The node, as it sees it."""
        [found] = (await self.ask("targets"))["activeTargets"]
        return dict(found)

    async def labels(self, metric: str) -> set[str]:
        """Of all series of a metric; empty if there is none."""
        series = await self.ask("series", **{"match[]": metric})
        return {label for each in series for label in each} - {"__name__"}

    async def _last_scrape(self) -> str:
        """Empty: it has read nothing yet, or does not know of the node yet (discovery takes it seconds)."""
        found = [target["lastScrape"] for target in (await self.ask("targets"))["activeTargets"]]
        return "".join(each for each in found if not each.startswith(_NEVER))

    def _address(self) -> str | None:
        """Where it listens, once it has said so."""
        assert self._process is not None
        log = (self._directory / "log").read_text()
        assert self._process.returncode is None, log
        found = _LISTENS.search(log)
        return None if found is None else found[1]

    async def _ready(self) -> bool:
        assert self._http is not None
        try:
            async with self._http.get("/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False
