"""Entries of several clinics, a page at a time: the right ones, and no more of each clinic is read than is shown."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from gateway.audit import file as file_module
from gateway.audit.chain import START
from gateway.audit.file import AuditFile, audit_file

CLINICS = [f"clinic-{number}" for number in range(50)]
ABOVE_ALL = 1 << 62


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[AuditFile]:
    """2000 entries of 50 clinics, and of none, as they come."""
    file, random = AuditFile(audit_file(tmp_path), bytes(32)), Random(6)
    whose = [random.choice([*CLINICS, None]) for _ in range(2000)]
    await file.append([(1, "node", "channel.connect", "done", clinic, None, None, "{}") for clinic in whose], START)
    yield file
    await file.close()


@pytest.mark.parametrize("clinics", [CLINICS, CLINICS[:7], CLINICS[:1], [*CLINICS[:2], "none", CLINICS[0]]])
@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_pages_follow_each_other_to_the_oldest(file: AuditFile, clinics: list[str], limit: int) -> None:
    expected = [fields[0] for fields in await file.page(None, ABOVE_ALL, 10_000) if fields[5] in clinics]
    found: list[int] = []
    while page := await file.page(clinics, found[-1] if found else ABOVE_ALL, limit):
        assert len(page) <= limit
        found += [int(str(fields[0])) for fields in page]
    assert found == expected


async def test_what_a_page_costs_does_not_grow_with_clinics_times_its_length(file: AuditFile, tmp_path: Path) -> None:
    await file.close()
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(sqlite3.connect(audit_file(tmp_path))) as connection:
        connection.set_progress_handler(step, 1)
        assert len(file_module._page(CLINICS, ABOVE_ALL, 40, connection)) == 40
    assert steps < 60 * (len(CLINICS) + 40)
