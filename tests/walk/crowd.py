"""A hundred clinics with ten channels each, and how fast and how live the page is with them.

What is measured is what a person sees: from going there to all clinics on the screen, and from what a port tells to the
word on the screen. Both processes take the time from the same clock.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from tests.long_run import Say
from tests.walk import scenes
from tests.walk.browser import Window, chromium
from tests.walk.crowd_node import CHANNELS_EACH, CLINICS, LAST
from tests.walk.looks import DESKTOP, PHONE
from tests.walk.person import Person, gone, seen
from tests.walk.stage import MEMORY

OPENS_WITHIN_S: Final = 1.0
TOLD_WITHIN_S: Final = 1.0
RATE: Final = 200.0
_OPENINGS: Final = 5
_FLIPS: Final = 25
_BETWEEN_S: Final = 0.8
_PATIENCE_S: Final = 180.0
_WAIT_OPENED: Final = """
(count) => new Promise((resolve) => {
  const look = () => document.querySelectorAll("ul.clinics > li").length === count
    ? resolve(performance.now() / 1000) : requestAnimationFrame(look);
  look();
})
"""
_WATCH: Final = """
(row) => {
  window.walk = { moves: [], frames: 0, longest: 0, began: performance.now() };
  const word = row.querySelector(".badge");
  const note = () => walk.moves.push([word.textContent, Date.now() / 1000]);
  new MutationObserver(note).observe(word, { childList: true, characterData: true, subtree: true });
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) walk.longest = Math.max(walk.longest, task.duration);
  }).observe({ type: "longtask" });
  const frame = () => { walk.frames += 1; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}
"""
_WATCHED: Final = """
() => ({ ...walk, seconds: (performance.now() - walk.began) / 1000,
  heap: performance.memory?.usedJSHeapSize ?? 0 })
"""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """``opens_s`` while nothing moves, ``opens_in_storm_s`` while everything does; ``told_…``: from what a port tells
    to the word on the screen, in the storm; ``longest_task_ms``: for which the page could not be touched (0: never for
    more than 50)."""

    clinics: int
    channels: int
    openings: int
    opens_s: float
    opens_in_storm_s: float
    transitions_per_s: float
    told_p50_s: float
    told_p95_s: float
    frames_per_s: float
    longest_task_ms: float
    heap_mb: float
    seconds: float
    wrong: list[str]

    @property
    def ok(self) -> bool:
        """Whether it is as fast as was promised, with nothing wrong."""
        fast = max(self.opens_s, self.opens_in_storm_s) < OPENS_WITHIN_S and self.told_p95_s < TOLD_WITHIN_S
        return fast and not self.wrong


class _Node:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def read(self) -> Any:
        """What it prints next."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE_S)
        if not line:
            raise AssertionError("the process with the crowd has ended")
        return json.loads(line)

    def tell(self, line: str) -> None:
        """What it is to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def ask(self, line: str) -> Any:
        """The same, and what it prints then."""
        self.tell(line)
        return await self.read()


@asynccontextmanager
async def _node() -> AsyncIterator[_Node]:
    with tempfile.TemporaryDirectory(prefix="plantao-crowd-", dir=MEMORY) as place:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.walk.crowd_node", place, stdin=-1, stdout=-1
        )
        try:
            yield _Node(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def measure(shots: Path, say: Say) -> Figures:
    """About a minute."""
    async with _node() as node:
        where = await node.read()
        say(f"{CLINICS} clinics with {CHANNELS_EACH} channels each are connected")
        async with chromium(where["url"], shots) as browser, browser.window(DESKTOP, shots="crowd") as window:
            await scenes.signs_in(Person(window), where["key"])
            opens = [await _open(window) for _ in range(_OPENINGS)]
            node.tell(f"storm {RATE}")
            in_storm = [await _open(window) for _ in range(_OPENINGS)]
            say(f"the page opens in {median(opens):.2f} s")
            figures = await _follow(node, window, median(opens), median(in_storm))
            async with browser.window(PHONE, shots="crowd") as phone:
                await scenes.signs_in(Person(phone), where["key"])
                await _open(phone)
                await _look_around(Person(phone))
            return replace(figures, wrong=[*figures.wrong, *phone.wrong])


async def _open(window: Window) -> float:
    """Seconds from going to the page to all clinics on it."""
    await window.page.goto("about:blank")
    await window.page.goto("/", wait_until="commit")
    return float(await window.page.evaluate(_WAIT_OPENED, CLINICS))


async def _look_around(person: Person) -> None:
    """From the top, and for one clinic. What is not in the window is not drawn, so no picture has all of the page."""
    await person.page.evaluate("scrollTo(0, 0)")
    await person.window.shoot("storm", full=False)
    await person.page.get_by_role("searchbox").fill("clinic-42")
    await seen(person.page.get_by_role("link", name="desk-7", exact=True))
    await gone(person.page.get_by_role("link", name="clinic-43", exact=True))
    await person.window.shoot("searched")


async def _follow(node: _Node, window: Window, opens_s: float, in_storm_s: float) -> Figures:
    """Watch one channel while all others move."""
    clinic, channel = LAST
    person = Person(window)
    await person.press("clinic.toggle", clinic=clinic)
    row = window.page.locator(f"#channels-{clinic} > li").filter(has_text=channel)
    await seen(row)
    await row.evaluate(_WATCH)
    before, began = await node.ask("count"), time.monotonic()
    flips = []
    for _ in range(_FLIPS):
        flips.append(await node.ask("flip"))
        await asyncio.sleep(_BETWEEN_S)
    rate = (await node.ask("count") - before) / (time.monotonic() - began)
    watched = await window.page.evaluate(_WATCHED)
    await _look_around(person)
    moves = watched["moves"]
    if len(moves) != len(flips):
        window.wrong.append(f"{len(flips)} changes of a channel were told, {len(moves)} shown")
    lags = [shown - told for told, (_, shown) in zip(flips, moves, strict=False)]
    return Figures(
        clinics=CLINICS,
        channels=CHANNELS_EACH,
        openings=_OPENINGS,
        opens_s=opens_s,
        opens_in_storm_s=in_storm_s,
        transitions_per_s=rate,
        told_p50_s=median(lags),
        told_p95_s=quantiles(lags, n=20)[-1],
        frames_per_s=watched["frames"] / watched["seconds"],
        longest_task_ms=watched["longest"],
        heap_mb=watched["heap"] / 1e6,
        seconds=watched["seconds"],
        wrong=window.wrong,
    )
