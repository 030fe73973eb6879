"""Refused authentications: an entry a minute, however many there are."""

import asyncio

import pytest

from gateway.audit.refusals import MOST_ADDRESSES, Refusals
from tests.fakes.memory_audit import MemoryAudit


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


def counts(audit: MemoryAudit) -> list[tuple[str, str, str]]:
    return [(each.detail["address"], each.detail["why"], each.detail["count"]) for each in audit.kept]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_is_told_at_once_and_those_that_follow_together(audit: MemoryAudit) -> None:
    refusals = Refusals(audit)
    refusals.count("10.0.0.1", "unknown")
    await settled()
    for _ in range(1000):
        refusals.count("10.0.0.1", "unknown")
    refusals.count("10.0.0.2", "expired")
    await settled()
    assert counts(audit) == [("10.0.0.1", "unknown", "1")]
    await refusals.close()
    assert counts(audit)[1:] == [("10.0.0.1", "unknown", "1000"), ("10.0.0.2", "expired", "1")]


async def test_after_a_while_the_next_are_told(audit: MemoryAudit) -> None:
    refusals = Refusals(audit, period_s=0.01)
    refusals.count("10.0.0.1", "unknown")
    await settled()
    refusals.count("10.0.0.1", "unknown")
    async with asyncio.timeout(10):
        while len(audit.kept) < 2:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
    assert counts(audit) == [("10.0.0.1", "unknown", "1")] * 2
    await refusals.close()


async def test_many_addresses_share_one_entry_in_the_end(audit: MemoryAudit) -> None:
    refusals = Refusals(audit)
    for number in range(MOST_ADDRESSES + 500):
        refusals.count(f"10.0.{number // 256}.{number % 256}", "unknown")
    await refusals.close()
    assert len(audit.kept) == MOST_ADDRESSES + 1
    assert counts(audit)[-1] == ("others", "unknown", "500")


async def test_while_the_audit_is_full_they_go_to_the_log(audit: MemoryAudit, caplog: pytest.LogCaptureFixture) -> None:
    audit.full = True
    refusals = Refusals(audit)
    refusals.count("10.0.0.1", "unknown")
    await refusals.close()
    assert "1 refused authentications" in caplog.text
