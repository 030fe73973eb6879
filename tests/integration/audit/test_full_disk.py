"""A disk without space: nothing more is entered, all that was is read, and it goes on when there is space."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.audit.keeper import NodeAudit
from gateway.audit.verifying import verify
from protocol.commands import utc_now
from protocol.errors import StoreUnavailableError
from tests.integration.audit.conftest import KEY


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs to mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(ballast: Path) -> None:
    """Take all the space that there is."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


async def filled(audit: NodeAudit) -> int:
    """Until it is full; how many entries it took."""
    taken = 0
    while taken < 50_000:
        outcomes = await asyncio.gather(
            *(audit.asked("k-1", "channel.connect", "acme", "front") for _ in range(50)), return_exceptions=True
        )
        if any(isinstance(each, StoreUnavailableError) for each in outcomes):
            return taken
        taken += 50
    raise AssertionError("it is never full")


async def test_a_full_disk_refuses_what_changes_and_is_over_when_there_is_space(disk: Path) -> None:
    audit = NodeAudit(disk, KEY, utc_now)
    await audit.open()
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    taken = await filled(audit)
    with pytest.raises(StoreUnavailableError, match=r"audit\.db cannot grow.*: free some space"):
        await asyncio.gather(*(audit.noted("node", "channel.connect") for _ in range(100)))
    assert len(await audit.entries("acme", before=None, limit=50)) == 50
    assert (await audit.verify()).intact

    ballast.unlink()
    await audit.noted("node", "channel.connect")
    await audit.close(timeout=5.0)
    found = verify(disk, KEY)
    assert (found.intact, found.last > taken) == (True, True)


async def test_a_node_that_starts_on_a_full_disk_goes_on_when_there_is_space(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ballast = disk / "ballast"
    fill(ballast)
    audit = NodeAudit(disk, KEY, utc_now)
    await audit.open()
    assert "nothing can be changed" in caplog.text
    with pytest.raises(StoreUnavailableError, match="the audit"):
        await audit.noted("node", "channel.connect")
    ballast.unlink()
    await audit.noted("node", "channel.connect")
    await audit.close(timeout=5.0)
    assert (verify(disk, KEY).intact, verify(disk, KEY).last) == (True, 1)
