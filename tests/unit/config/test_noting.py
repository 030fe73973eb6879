import asyncio
from dataclasses import replace

from config.noting import MOST_VERSION, PassedOverNotes
from gateway.audit.words import detail_text
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


async def test_a_version_that_could_be_a_telephones_number_is_noted_all_the_same() -> None:
    audit = MemoryAudit()
    notes = PassedOverNotes(audit)
    notes(replace(SNAPSHOT, version=11_987_654_321))
    await asyncio.sleep(0)
    (entry,) = await audit.entries(None, before=None, limit=10)
    assert entry.detail == {"version": str(MOST_VERSION)}
    assert detail_text(entry.detail)
