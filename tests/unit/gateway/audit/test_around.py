"""What is done stands between two entries, however it ends."""

import asyncio

import pytest

from gateway.audit.around import audited
from protocol.errors import ConflictError, StoreUnavailableError
from tests.fakes.memory_audit import MemoryAudit

SUBJECT = ("k-1", "channel.connect", "acme", "front")


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


def status(outcome: int | Exception) -> int:
    return outcome if isinstance(outcome, int) else 409 if isinstance(outcome, ConflictError) else 500


def said(audit: MemoryAudit) -> list[tuple[str, dict[str, str]]]:
    return [(each.outcome, dict(each.detail)) for each in audit.kept]


@pytest.mark.parametrize(("answer", "outcome"), [(200, "done"), (302, "done"), (404, "refused"), (503, "failed")])
async def test_what_is_answered_says_how_it_ended(audit: MemoryAudit, answer: int, outcome: str) -> None:
    async def work() -> int:
        assert said(audit) == [("asked", {})]
        return answer

    assert await audited(audit, SUBJECT, work, status) == answer
    assert said(audit) == [("asked", {}), (outcome, {"status": str(answer)})]


async def test_what_is_raised_says_it_too_and_is_raised(audit: MemoryAudit) -> None:
    async def work() -> int:
        raise ConflictError("not now")

    with pytest.raises(ConflictError):
        await audited(audit, SUBJECT, work, status)
    assert said(audit)[1:] == [("refused", {"status": "409"})]


async def test_what_is_cut_off_has_failed(audit: MemoryAudit) -> None:
    begun = asyncio.Event()

    async def work() -> int:
        begun.set()
        await asyncio.Event().wait()
        return 200

    task = asyncio.create_task(audited(audit, SUBJECT, work, status))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(audit)[1:] == [("failed", {"why": "cut_off"})]


async def test_what_cannot_be_entered_is_not_begun(audit: MemoryAudit) -> None:
    async def work() -> int:
        raise AssertionError("begun")

    audit.full = True
    with pytest.raises(StoreUnavailableError):
        await audited(audit, SUBJECT, work, status)


async def test_what_was_done_is_done_though_its_end_cannot_be_entered(
    audit: MemoryAudit, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> int:
        audit.full = True
        return 200

    assert await audited(audit, SUBJECT, work, status) == 200
    assert "entry 1 of the audit" in caplog.text
