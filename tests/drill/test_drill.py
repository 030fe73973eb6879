"""The short form of ``make drill``."""

import pytest

from tests.drill.run import Size, run


@pytest.mark.timeout(180)
async def test_whenever_it_is_killed_the_system_works_and_there_is_no_half_state() -> None:
    lines: list[str] = []
    report = await run(Size(kills=20, seed=5), lines.append)
    assert report.ok, "\n".join([*lines, *report.broken])
    assert report.kills >= 15
