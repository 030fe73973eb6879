"""The short form of ``make walk``: sign in, create, scan, connected, sent, ticks; and one who may only look."""

from pathlib import Path

from tests.walk import scenes
from tests.walk.browser import chromium
from tests.walk.looks import DESKTOP
from tests.walk.person import Person
from tests.walk.stage import stage


async def test_a_newcomer_pairs_a_number_and_sends_and_who_only_looks_can_do_nothing(tmp_path: Path) -> None:
    place = scenes.Place(number=1)
    async with stage(tmp_path) as at, chromium(at.url, tmp_path) as browser, browser.window(DESKTOP) as window:
        await scenes.short(Person(window), at, place)
        async with browser.window(DESKTOP, shots="viewer") as other:
            await scenes.only_looks(Person(other), at, place)

        assert window.wrong + other.wrong == []
