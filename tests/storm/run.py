"""A whole run: calm, storm, calm again, and the verdict."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from msgspec import Struct

from tests.acceptance.node import NodeError
from tests.storm.bed import Bed, bed
from tests.storm.doubts import uncertain
from tests.storm.evidence import Evidence, Stored
from tests.storm.laws import judge
from tests.storm.load import Commands, Patients, rain
from tests.storm.plan import What, plan
from tests.storm.report import Report, broken
from tests.storm.streams import ClinicStream, read_all
from tests.storm.strikes import Striker

PUBLISHING_S: Final = 60.0
"""How long after the last strike a command may wait for its acknowledgement."""
QUIET_S: Final = 3.0
"""After everything has come: what comes twice comes in this time."""
_LOOK_S: Final = 1.0

Say = Callable[[str], None]


class Size(Struct, frozen=True, kw_only=True):
    """``channels`` of each clinic; ``out`` commands and ``into`` inbound messages altogether; a strike every ``pause``
    seconds on average, none later than after ``minutes``. ``patience``: how many seconds nothing may change before what
    is still missing counts as lost; ``keep``: where to leave the logs."""

    clinics: int = 10
    channels: int = 5
    out: int = 10_000
    into: int = 10_000
    kills: int = 60
    seed: int = 0
    pause: float = 3.0
    minutes: float = 20.0
    patience: float = 90.0
    keep: Path | None = None


QUICK: Final = Size(clinics=2, channels=2, out=400, into=400, kills=10, seed=1, pause=2.0, minutes=4.0, patience=45.0)


@dataclass(frozen=True, slots=True)
class _Open:
    """What has not come yet."""

    unacknowledged: int
    results: int
    untaken: int
    missing: int

    @property
    def nothing(self) -> bool:
        return not (self.unacknowledged or self.results or self.untaken or self.missing)

    def __str__(self) -> str:
        return (
            f"{self.unacknowledged} commands not acknowledged, {self.results} without a result; "
            f"{self.untaken} inbound messages not taken, {self.missing} neither an event nor named"
        )


async def run(size: Size, say: Say) -> Report:
    """Everything; ``say`` takes lines for a person who waits."""
    begun, random = time.monotonic(), Random(size.seed)
    async with bed(size.clinics, size.channels, size.keep) as place:
        say(f"{len(place.channels)} channels are connected")
        planned = plan(place.channels, size.kills, size.pause, random)
        say("the plan: " + "; ".join(f"+{strike.after:.1f} s {strike}" for strike in planned))
        commands = Commands(place.node, place.channels, Random(random.random()))
        patients = Patients(place.emulator, place.accounts, Random(random.random()))
        striker = Striker(place.node, place.emulator, place.channels, place.phones, Random(random.random()))
        streams = [ClinicStream(place.node, clinic) for clinic in place.clinics]
        try:
            until = time.monotonic() + size.minutes * 60
            raining = asyncio.create_task(
                rain(commands, patients, size.out, size.into, striker.left, Random(random.random()))
            )
            try:
                await striker.play(planned, until, say)
                await raining
            finally:
                raining.cancel()
            say(f"the storm is over after {time.monotonic() - begun:.0f} s; waiting for what is still under way")
            await commands.published(PUBLISHING_S)
            quiet = await _until_quiet(place, commands, streams, size.patience, say)
        finally:
            await commands.stop()
        evidence = await _gather(place, commands, streams, striker)
        verdict = judge(evidence)
        if size.keep is not None:
            await _keep_tree(place, size.keep)
        code = await _end(place)
    return Report(
        ok=not verdict.violations and quiet and code == 0 and not striker.skipped,
        seed=size.seed,
        kills={what.value: count for what, count in _kills(striker).items()},
        skipped=[str(strike) for strike in striker.skipped],
        channels=len(place.channels),
        seconds=time.monotonic() - begun,
        exit_code=code,
        counts=verdict.counts,
        broken=broken(verdict.violations, evidence),
    )


async def _keep_tree(place: Bed, keep: Path) -> None:
    """What the node shows of itself, for whoever looks into a violation."""
    for name in ("tree", "channels"):
        shown = await place.node.request("GET", f"/api/v1/{name}")
        await asyncio.to_thread(_write, keep / f"{name}.json", msgspec.json.format(msgspec.json.encode(shown)))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _kills(striker: Striker) -> dict[What, int]:
    counts: dict[What, int] = {}
    for struck in striker.done:
        counts[struck.strike.what] = counts.get(struck.strike.what, 0) + 1
    return counts


async def _until_quiet(place: Bed, commands: Commands, streams: list[ClinicStream], patience: float, say: Say) -> bool:
    """Wait until nothing is under way any more; False if something still is after ``patience`` seconds without any
    change."""
    changed, before = time.monotonic(), None
    while True:
        if await read_all(streams):
            now = await _open(place, commands, streams)
            if now != before:
                changed, before = time.monotonic(), now
                say(str(now))
            if now.nothing:
                await asyncio.sleep(QUIET_S)
                return await read_all(streams)
        if time.monotonic() - changed > patience:
            say(f"nothing changed for {patience:.0f} s")
            return False
        await asyncio.sleep(_LOOK_S)


async def _open(place: Bed, commands: Commands, streams: list[ClinicStream]) -> _Open:
    evidence = Evidence(accounts=place.accounts, events=[event for one in streams for event in one.events])
    results, named = evidence.results(), evidence.named()
    events = {event.body["wa_id"] for event in evidence.of_kind("message")}
    letters = await place.emulator.letters()
    return _Open(
        unacknowledged=sum(one.stored is None for one in commands.all),
        results=sum(one.stored is not None and one.id not in results for one in commands.all),
        untaken=sum(letter.receipted is None for letter in letters),
        missing=sum(letter.id not in events and letter.id not in named for letter in letters),
    )


async def _gather(place: Bed, commands: Commands, streams: list[ClinicStream], striker: Striker) -> Evidence:
    """All there is, read anew."""
    if not await read_all(streams, anew=True):
        raise NodeError("a clinic's events cannot be read, though nothing is killed any more")
    evidence = Evidence(
        accounts=place.accounts,
        commands=commands.all,
        letters=await place.emulator.letters(),
        arrivals=(await place.emulator.arrivals()).items,
        unreadable=await place.emulator.unreadable(),
        events=[event for one in streams for event in one.events],
        strikes=striker.done,
        log=place.node.log.splitlines(),
    )
    copies, results = evidence.copies(), evidence.results()
    suspects = [one for one in commands.all if len(copies.get(one.id, ())) > 1 or not _sent(results.get(one.id, []))]
    evidence.uncertain = await uncertain(place.node, suspects, evidence.log)
    return evidence


def _sent(results: Sequence[Stored]) -> bool:
    return [one.body["status"] for one in results] == ["sent"]


async def _end(place: Bed) -> int:
    """SIGTERM; the exit code, -1 if it had to be killed."""
    await place.node.close_http()
    try:
        return await asyncio.to_thread(place.node.stop)
    except NodeError:
        return -1
