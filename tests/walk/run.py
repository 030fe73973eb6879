"""All walks, one after the other, and the crowd."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.long_run import Say
from tests.walk import crowd, scenes
from tests.walk.browser import Chromium, Window, chromium
from tests.walk.looks import LOOKS, Look
from tests.walk.person import Person
from tests.walk.report import Report, Walked
from tests.walk.stage import Stage, stage

_WHERE: Final = "tests/walk/scenes.py"


def prepare(shots: Path) -> None:
    """Have the directory there, without the pictures of an earlier walk."""
    shots.mkdir(parents=True, exist_ok=True)
    for old in shots.rglob("*.png"):
        old.unlink()


async def run(shots: Path, looks: Sequence[Look], *, with_crowd: bool, say: Say) -> Report:
    """What is walked in one look is apart from the others: one that stops keeps none from going on."""
    walks = []
    async with stage() as at, chromium(at.url, shots) as browser:
        for number, look in enumerate(LOOKS):
            if look in looks:
                walks.append(await _walk(at, browser, look, number))
                say(f"{look.name}: {walks[-1].pictures} pictures, {len(walks[-1].wrong)} things wrong")
    figures = await crowd.measure(shots, say) if with_crowd else None
    return Report(walks=walks, crowd=figures, shots=str(shots))


async def _walk(at: Stage, browser: Chromium, look: Look, number: int) -> Walked:
    place = scenes.Place(number=number)
    stopped = None
    async with browser.window(look) as own, browser.window(look, shots="viewer") as other:
        window: Window = own
        try:
            await scenes.whole(Person(own), at, place)
            window = other
            await scenes.only_looks(Person(other), at, place)
            window = own
            await scenes.removes(Person(own), place)
            await scenes.signs_out(Person(own))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is shown, and the other walks go on
            await window.shoot("stopped")
            stopped = f"{_line(error)}: {error}"
        return Walked(
            look=look.name, pictures=own.pictures + other.pictures, wrong=[*own.wrong, *other.wrong], stopped=stopped
        )


def _line(error: Exception) -> str:
    """Where in the scenes it happened."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(_WHERE)]
    return f"{lines[-1].name}, line {lines[-1].lineno}" if lines else type(error).__name__
