"""The short form of ``make storm``."""

import pytest

from tests.storm.run import QUICK, run


@pytest.mark.timeout(420)
async def test_nothing_is_lost_and_nothing_is_sent_twice_whoever_is_killed() -> None:
    lines: list[str] = []
    report = await run(QUICK, lines.append)
    told = [f"{one.law}: {one.channel} {one.id}: {one.text} {one.timeline}" for one in report.broken]
    assert report.ok, "\n".join([*told, *lines])
    assert sum(count for what, count in report.kills.items() if what.startswith("SIGKILL")) == QUICK.kills
