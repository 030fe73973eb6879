import asyncio

from config.noting import PassedOverNotes
from gateway.vault import PassedOver
from tests.fakes.memory_audit import MemoryAudit

SNAPSHOT = PassedOver("north", "desk", 7, "it is damaged")


async def test_a_snapshot_that_could_not_be_opened_is_in_the_audit() -> None:
    audit = MemoryAudit()
    notes = PassedOverNotes(audit)
    notes(SNAPSHOT)
    await asyncio.sleep(0)
    (entry,) = await audit.entries(None, before=None, limit=10)
    said = (entry.who, entry.action, entry.outcome, entry.clinic, entry.channel, entry.detail)
    assert said == ("node", "vault.passed_over", "done", "north", "desk", {"version": "7"})
