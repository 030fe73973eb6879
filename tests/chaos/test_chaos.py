"""The short form of ``make chaos``: every way to die once, on every level of the tree."""

import pytest

from tests.chaos import scenes
from tests.chaos.bed import bed
from tests.chaos.game import Found, Game
from tests.chaos.kinds import ESSENTIAL
from tests.chaos.run import Size, run


@pytest.mark.timeout(400)
async def test_whoever_is_killed_comes_back_and_nobody_else_notices() -> None:
    lines: list[str] = []
    size = Size(kills=len(ESSENTIAL), clinics=4, channels=2, seed=1, kinds=ESSENTIAL, quarantine=False)
    report = await run(size, lines.append)
    assert report.ok, "\n".join([*report.broken, *lines])
    assert report.kills == len(ESSENTIAL)
    assert report.state_changes_of_others == 0


@pytest.mark.timeout(200)
async def test_a_clinic_that_fails_at_every_start_is_quarantined_and_released_and_nobody_else_notices() -> None:
    lines, found = list[str](), Found()
    async with bed(2, 2, supervision={"quarantine_restarts": 2}) as place:
        game = Game(place, found, lines.append)
        await game.settle()
        game.expect_nothing()
        await scenes.quarantine(place, game, lines.append)
        await scenes.orderly_end(place, game, lines.append)
    assert not found.broken, "\n".join(lines)
