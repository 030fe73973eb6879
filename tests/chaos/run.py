"""A whole run: the node, the waves, the scenes, and what came of it."""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from msgspec import Struct

from tests.bench.report import percentile
from tests.chaos import leaks, scenes
from tests.chaos.bed import Bed, bed
from tests.chaos.game import Found, Game
from tests.chaos.kinds import KINDS, Kind
from tests.chaos.plan import waves
from tests.chaos.report import Report, recovery_table
from tests.chaos.traffic import Command

_QUIET_S: Final = 2.0


class Size(Struct, frozen=True, kw_only=True):
    """How much is broken. ``channels`` of each clinic; ``kinds`` come once each before they are drawn by weight;
    ``quarantine``: also have a clinic fail at every start."""

    kills: int = 200
    clinics: int = 10
    channels: int = 2
    seed: int = 0
    keep_going: bool = False
    kinds: Sequence[Kind] = KINDS
    quarantine: bool = True


async def run(size: Size, say: Callable[[str], None]) -> Report:
    """Everything; ``say`` takes lines for a person who waits."""
    begun = time.monotonic()
    found = Found()
    async with bed(size.clinics, size.channels) as place:
        say(f"{len(place.channels)} channels are connected after {time.monotonic() - begun:.1f} s")
        planned = waves(size.kinds, place.channels, size.kills, Random(size.seed))
        game = Game(place, found, say)
        await game.settle()
        game.expect_nothing()
        await asyncio.sleep(_QUIET_S)
        before = await place.hand.do("count")
        after, played, took = before, 0, 0.0
        try:
            await scenes.second_node(place, game, say)
            for wave in planned:
                if found.broken and not size.keep_going:
                    break
                await game.play(wave)
                played += 1
            after = await _leaks(place, game, before, say)
            took = await scenes.main_killed(place, game, say)
            if size.quarantine:
                await scenes.quarantine(place, game, say)
            await scenes.all_answered(place, game, say)
        except TimeoutError:
            game.broken(f"what everything else waits for did not happen:\n{traceback.format_exc()}")
        await scenes.orderly_end(place, game, say)
        traffic = await _traffic(place, game)
    return Report(
        ok=not found.broken,
        seed=size.seed,
        kills=len(found.recoveries),
        waves=played,
        clinics=size.clinics,
        channels=len(place.channels),
        seconds=time.monotonic() - begun,
        recovery=recovery_table(found.recoveries),
        state_changes_of_others=len(found.changes),
        traffic=traffic,
        before=before,
        after=after,
        scenes={"main SIGKILL, until all are connected": took},
        broken=found.broken,
    )


async def _leaks(place: Bed, game: Game, before: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """What is left over after all kills. The threads that were made to hang must be there, and end when they can."""
    after, left = await leaks.settled(place.hand, before)
    if left:
        game.broken(f"left over: {', '.join(left)}")
    hung = sum(after["hung"].values())
    released = await place.hand.do("release")
    if released != hung:
        game.broken(f"{released} actors were made to hang, and {hung} of their threads are there")
    after, left = await leaks.settled(place.hand, before)
    if left:
        game.broken(f"left over when those that hung were released: {', '.join(left)}")
    say(
        f"      {hung} hung threads were left behind, and ended when they were released; left over: {left or 'nothing'}"
    )
    return dict(after)


async def _traffic(place: Bed, game: Game) -> dict[str, float]:
    """What became of the commands: by the results, and by what the contacts got."""
    commands = list(place.traffic.commands.values())
    got = Counter[str]()
    for key in place.channels:
        got.update(item.text for item in await place.emulator.inbox(place.traffic.contact(key)))
    done = [one for one in commands if one.done is not None]
    for one in done:
        if got[one.id] == 0:
            game.broken(f"{one.id} of {'/'.join(one.key)} has a result ({one.status}), and did not arrive")
        if got[one.id] > 1 and not one.exposed:
            game.broken(f"{one.id} of {'/'.join(one.key)}, not hit, arrived {got[one.id]} times")
    for reused in (await place.emulator.stats()).key_reuse:
        game.broken(f"a message key was used twice: {reused}")
    hit, others = ([one for one in done if one.exposed is exposed] for exposed in (True, False))
    return {
        "without a result": len(commands) - len(done),
        **{f"{name}, hit": figure for name, figure in _figures(hit, got).items()},
        **{f"{name}, others": figure for name, figure in _figures(others, got).items()},
    }


def _figures(done: Sequence[Command], got: Counter[str]) -> dict[str, float]:
    figures: dict[str, float] = {
        "sent": sum(one.status == "sent" for one in done),
        "failed": sum(one.status != "sent" for one in done),
        "arrived twice": sum(got[one.id] > 1 for one in done),
    }
    took = [one.done - one.begun for one in done if one.done is not None]
    if took:
        shares = {"p50 s": percentile(took, 0.5), "p99 s": percentile(took, 0.99), "max s": max(took)}
        figures |= {name: round(seconds, 3) for name, seconds in shares.items()}
    return figures
