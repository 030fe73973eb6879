from collections.abc import Iterator

import pytest

from tests.unit.supervisor.house import House


@pytest.fixture
def house() -> Iterator[House]:
    """A supervisor, and the end of it."""
    house = House()
    yield house
    house.clear()
