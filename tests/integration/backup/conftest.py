from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.backup.bed import Bed, running


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """A node with two clinics."""
    async with running(tmp_path / "node") as made:
        await made.add("north", "desk", "lab", config={"pacing": {"per_minute": 10}})
        await made.add("south", "desk")
        yield made
