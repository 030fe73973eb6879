"""Chromium, and windows of it that note everything that is wrong."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from tests.walk.looks import Look

PATIENCE_MS: Final = 30_000
_ARGUMENTS: Final = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
"""No name is found but this machine's: nothing that the browser does by itself gets out."""
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_TELL_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.effectiveDirective} forbids ${event.blockedURI} (${event.sourceFile})`));
"""
_SAY: Final = "async ([key, values]) => (await import('/page/words.js')).t(key, values)"
_TOO_WIDE: Final = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_LOADING: Final = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


class Window:
    """One person's window, with cookies of its own. ``wrong``: what nobody may see, be it only in the console."""

    def __init__(self, page: Page, look: Look, shots: Path) -> None:
        self.page = page
        self.look = look
        self.wrong: list[str] = []
        self.loads = 0
        self.pictures = 0
        self._shots = shots
        self._meant: set[tuple[int, str]] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("load", self._loaded)

    def mean(self, status: int, path: str) -> None:
        """That a request for what ends in ``path`` is refused with ``status`` is meant: browsers write of each."""
        self._meant.add((status, path))

    async def say(self, key: str, **values: Any) -> str:
        """A sentence of the page, in its language."""
        return str(await self.page.evaluate(_SAY, [key, values]))

    async def shoot(self, name: str, *, full: bool = True) -> None:
        """A picture of the page as it is now (all of it, unless a dialog is over it), and what axe-core and the width
        of the window say of it."""
        self.pictures += 1
        path = self._shots / f"{self.look.name}-{self.pictures:02d}-{name}.png"
        full = full and await self.page.locator("dialog").count() == 0
        await self.page.screenshot(path=path, full_page=full, animations="disabled")
        if (wider := await self.page.evaluate(_TOO_WIDE)) > 0:
            self.wrong.append(f"{name}: the page is {wider} pixels wider than the window")
        found = await Axe().run(self.page, options={"runOnly": _RULES, "resultTypes": ["violations"]})
        for violation in found.response["violations"]:
            nodes = "; ".join(node["html"][:200] for node in violation["nodes"][:3])
            self.wrong.append(f"{name}: axe {violation['id']} ({violation['impact']}): {violation['help']}: {nodes}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        url = message.location["url"]
        refused = _LOADING.match(message.text)
        if refused and any(int(refused[1]) == status and url.endswith(path) for status, path in self._meant):
            return
        self.wrong.append(f"console {message.type}: {message.text} ({url})")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # whoever leaves ends what is under way
            self.wrong.append(f"{request.method} {request.url}: {request.failure}")

    def _loaded(self, _page: Page) -> None:
        self.loads += 1


class Chromium:
    """A browser that runs."""

    def __init__(self, browser: Browser, url: str, shots: Path) -> None:
        self._browser = browser
        self._url = url
        self._shots = shots

    @asynccontextmanager
    async def window(self, look: Look, *, shots: str = "") -> AsyncIterator[Window]:
        """A new window of somebody who was never here; its pictures go to ``shots`` within the directory."""
        context: BrowserContext = await self._browser.new_context(base_url=self._url, **look.options())
        try:
            context.set_default_timeout(PATIENCE_MS)
            (self._shots / shots).mkdir(exist_ok=True)
            await context.add_init_script(_TELL_VIOLATIONS)
            yield Window(await context.new_page(), look, self._shots / shots)
        finally:
            await context.close()


@asynccontextmanager
async def chromium(url: str, shots: Path) -> AsyncIterator[Chromium]:
    """Debian's Chromium, at ``url``; pictures go to ``shots``."""
    path = shutil.which("chromium")
    if path is None:
        raise FileNotFoundError("chromium is not installed: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield Chromium(browser, url, shots)
        finally:
            await browser.close()
