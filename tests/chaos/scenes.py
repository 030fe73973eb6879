"""What is done once: a second node on the same data, the main process killed, a clinic that fails at every start, and
the orderly end."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.acceptance.node import PLANTAO, NodeError, descendants
from tests.acceptance.test_many_channels import strangers
from tests.chaos.bed import Bed
from tests.chaos.bounds import EACH_S, UP_S
from tests.chaos.game import Game

_REFUSAL_S: Final = 30.0
_REFUSED: Final = 1
"""``plantao``'s exit code for what may succeed another time."""
_NOT_THERE: Final = (404, 405)
_ORPHAN_S: Final = 6.0 + 5.0
"""Until a port whose main is gone has ended: its send in flight, or its eviction."""

Say = Callable[[str], None]


async def second_node(bed: Bed, game: Game, say: Say) -> None:
    """Another node on the same data directory refuses, and says why; the first does not notice (which ``game``
    watches)."""
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(str(PLANTAO), "run", "--config", str(bed.node.directory / "plantao.toml"), "--data", str(bed.node.data)),
        "--json",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=bed.node.directory,
    )
    try:
        out, said = await asyncio.wait_for(process.communicate(), _REFUSAL_S)
    except TimeoutError:
        process.kill()
        game.broken("a second node was not refused")
        return
    text = said.decode().strip()
    expected = f"another node (pid {bed.node.pid}) runs on {bed.node.data}"
    if process.returncode != _REFUSED or out or expected not in text:
        game.broken(f"a second node was refused badly: exit code {process.returncode}, {out!r}, {text!r}")
    await game.settle()
    say(f"      {time.monotonic() - begun:6.2f} s  a second node was refused: exit code {process.returncode}, {text}")


async def main_killed(bed: Bed, game: Game, say: Say) -> float:
    """SIGKILL main while its ports live, and start it again; seconds from the start until all are connected."""
    tree = await bed.hand.tree()
    left = {await bed.port(key, tree) for key in bed.channels} | descendants(bed.node.pid)
    codes = bed.watch.codes
    game.expect(set(bed.channels), set(bed.clinics))
    wall = datetime.now(UTC)
    await asyncio.to_thread(bed.node.kill)
    await bed.gone()
    begun = time.monotonic()
    await bed.start()
    ready = time.monotonic() - begun
    bound = UP_S + _ORPHAN_S + EACH_S * len(bed.channels)
    try:
        await bed.watch.until(lambda: all(bed.watch.connected_since(key, wall) for key in bed.channels), bound)
    except TimeoutError:
        late = ["/".join(key) for key in bed.channels if not bed.watch.connected_since(key, wall)]
        game.broken(f"main killed: not connected again {bound:.0f} s after it was ready: {late}")
    took = time.monotonic() - begun
    await game.settle()
    if bed.watch.codes != codes:
        game.broken(f"main killed: {bed.watch.codes - codes} QR codes were shown")
    if still := alive(left):
        game.broken(f"main killed: processes of the node before are still there: {still}")
    game.expect_nothing()
    say(
        f"      {took:6.2f} s  main SIGKILL, started again (ready after {ready:.2f} s), all connected without a QR code"
    )
    return took


async def quarantine(bed: Bed, game: Game, say: Say) -> None:
    """A clinic that fails at every start is parked and shown so; nobody else notices; it is let out again."""
    clinic = bed.clinics[0]
    own = {key for key in bed.channels if key[0] == clinic}
    game.expect(own, {clinic})
    begun = time.monotonic()
    haunted = f"clinics/{clinic}/reconciler"
    await bed.hand.do("haunt", haunted)
    shown = await _clinic_in(bed, clinic, "quarantined")
    took = time.monotonic() - begun
    if "quarantined after" not in shown["reason"]:
        game.broken(f"a quarantined clinic does not say why: {shown}")
    if (await bed.hand.tree())[f"clinics/{clinic}"]["phase"] != "quarantined":
        game.broken("a clinic that is shown quarantined is not")
    wrong = [bed.watch.board[key] for key in own if bed.watch.board[key]["state"] != "error"]
    if wrong:
        game.broken(f"channels of a quarantined clinic are shown as {wrong}")
    waiting = bed.traffic.send(sorted(own)[0])
    others = [bed.traffic.send(key) for key in bed.channels if key not in own]
    await bed.watch.until(lambda: all(command.done is not None for command in others))
    if waiting.done is not None:
        game.broken("a quarantined clinic sent something")
    await bed.hand.do("exorcise", haunted)
    wall = datetime.now(UTC)
    await _release(bed, clinic)
    await _clinic_in(bed, clinic, "running")
    await bed.watch.until(lambda: all(bed.watch.connected_since(key, wall) for key in own))
    await game.settle()
    game.expect_nothing()
    say(f"      {took:6.2f} s  {clinic} failed at every start: {shown['reason']}; let out, it is back")


async def _clinic_in(bed: Bed, clinic: str, state: str) -> Any:
    await bed.watch.until(lambda: bool(bed.watch.clinics.get(clinic, {}).get("state") == state))
    return await bed.node.request("GET", f"/api/v1/clinics/{clinic}")


async def _release(bed: Bed, clinic: str) -> None:
    """By HTTP, if this version has that route."""
    try:
        await bed.node.request("POST", f"/api/v1/clinics/{clinic}/release")
    except NodeError as error:
        if error.status not in _NOT_THERE:
            raise
        await bed.hand.do("desk", "release_clinic", clinic)


async def all_answered(bed: Bed, game: Game, say: Say) -> None:
    """Publish nothing more, and wait for the results of what was."""
    await bed.traffic.cease()
    with contextlib.suppress(TimeoutError):
        await bed.watch.until(lambda: not bed.traffic.open)
    if bed.traffic.open:
        game.broken(f"commands without a result: {bed.traffic.open}")
    say(f"              {len(bed.traffic.commands)} commands, {len(bed.traffic.open)} of them without a result")


async def orderly_end(bed: Bed, game: Game, say: Say) -> None:
    """SIGTERM: exit code 0, and nothing is left of it."""
    game.stop()
    family = descendants(bed.node.pid)
    begun = time.monotonic()
    await bed.gone()
    code = await asyncio.to_thread(bed.node.stop)
    if code != 0:
        game.broken(f"SIGTERM: exit code {code}")
    if still := alive(family):
        game.broken(f"SIGTERM: processes are left: {still}")
    if files := strangers(bed.node.runtime):
        game.broken(f"SIGTERM: files are left: {list(map(str, files))}")
    say(f"      {time.monotonic() - begun:6.2f} s  SIGTERM: exit code {code}, {len(family)} processes ended")


def alive(pids: set[int]) -> dict[int, str]:
    """Those that are still there, zombies not counted, with their command lines."""
    found = {}
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found
