"""Who did what on a whole node: listed, verified while it runs and without it, and tampering that is found."""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.acceptance.node import Node


def tamper(data: Path) -> None:
    with closing(sqlite3.connect(data / "audit.db", isolation_level=None)) as database:
        database.execute("DROP TRIGGER never_changed")
        database.execute("UPDATE entries SET who = 'nobody' WHERE seq = 3")


async def test_who_did_what_is_known_and_stays_provable(node: Node) -> None:
    await node.add("acme", "reception")
    async with await node.listen() as service:
        await service.rpc("acme", "reception", "suspend")
    listed = json.loads(await node.cli("audit", "list", "--clinic", "acme", "--json"))["items"]
    said = [(entry["who"], entry["action"], entry["outcome"]) for entry in reversed(listed)]
    assert said[-2:] == [("nats:platform", "channel.suspend", outcome) for outcome in ("asked", "done")]
    assert [action for _, action, _ in said[:2]] == ["channel.add"] * 2
    found = json.loads(await node.cli("audit", "verify", "--json"))
    assert found["intact"]

    await node.close_http()
    await asyncio.to_thread(node.stop)
    noted = f"{found['last']}:{found['hash']}"
    assert "The audit is whole" in await node.cli("audit", "verify", "--offline", "--since", noted)
    tamper(node.data)
    assert "entry 3 is not what" in await node.cli("audit", "verify", "--offline", code=1)
    async with node:
        assert "entry 3 is not what" in await node.cli("audit", "verify", code=1)


async def test_after_a_kill_it_is_whole(node: Node) -> None:
    for number in range(5):
        await node.add(f"clinic-{number}")
    await node.close_http()
    node.signal(signal.SIGKILL)
    await asyncio.to_thread(node.wait)
    assert "The audit is whole" in await node.cli("audit", "verify", "--offline")
    async with node:
        found = json.loads(await node.cli("audit", "verify", "--json"))
        assert found["intact"]
        listed = json.loads(await node.cli("audit", "list", "--json"))["items"]
        assert [entry["action"] for entry in listed].count("clinic.add") == 10
