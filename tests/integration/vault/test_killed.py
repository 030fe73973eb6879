"""SIGKILL at random moments of restoring and sealing: the session is always there, and no ratchet key comes twice."""

import subprocess
import sys
import threading
from pathlib import Path
from random import Random

import pytest

from protocol.vault import Restoration
from tests.integration.vault import session_stores
from tests.integration.vault.conftest import MakeVaults

KILLS = 20


def live_and_be_killed(data: Path, store: Path, life: int, after: int, delay_s: float) -> list[tuple[str, str]]:
    """Kill a node ``delay_s`` after it has said ``after`` lines; what it said."""
    said = list[tuple[str, str]]()
    command = [sys.executable, "-m", "tests.integration.vault.node_to_kill", str(data), str(store), str(life)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        killer = threading.Timer(delay_s, node.kill)
        for lines, line in enumerate(node.stdout, start=1):
            if lines == after:
                killer.start()
            if line.endswith("\n"):
                what, value = line.split()
                said.append((what, value))
        killer.join()
    assert node.returncode == -9
    return said


@pytest.mark.timeout(180)
async def test_whenever_it_is_killed_the_session_is_there_and_goes_on_with_new_keys(
    vaults: MakeVaults, data: Path, store: Path
) -> None:
    dice = Random(20261128)
    seen, used = set[Restoration](), list[int]()
    for life in range(1, KILLS + 1):
        said = live_and_be_killed(data, store, life, dice.randrange(3, 25), dice.uniform(0, 0.02))
        assert life == 1 or ("restored", "NONE") not in said, "the session is lost"
        used += [int(value) for what, value in said if what == "used"]
        assert used == sorted(set(used)), "a ratchet key came twice"
        if dice.random() < 0.6:
            session_stores.lose(store)
        restoration = await vaults(keep=3).clinic("north").restore("desk", str(store))
        assert restoration is not Restoration.NONE
        assert session_stores.is_whole(store)
        assert (session_stores.counter_of(store) or used[-1]) >= used[-1]
        assert [name for name in files(data) if name.endswith((".clean", ".draft"))] == []
        seen.add(restoration)
    assert seen >= {Restoration.STALE, Restoration.KEPT}


def files(data: Path) -> list[str]:
    return [path.name for path in data.rglob("*")]
