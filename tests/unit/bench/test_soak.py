"""What the soak makes of its samples."""

import pytest

from tests.bench.service import BenchError
from tests.bench.soak import rows


def test_what_grows_steadily_is_told_by_the_hour_and_what_grows_once_is_not() -> None:
    samples = [{"hours": n / 60, "leak": 100.0 + n, "cache": 50.0 if n < 10 else 60.0} for n in range(30)]
    by_name = {row.label: row.values for row in rows(samples)}
    assert by_name["leak"]["growth"] == pytest.approx(60.0)
    assert by_name["leak"]["last third"] - by_name["leak"]["first third"] == pytest.approx(20.0)
    assert by_name["cache"]["growth"] == pytest.approx(0.0)
    assert by_name["cache"]["largest"] == 60.0


def test_a_soak_of_two_samples_says_nothing() -> None:
    with pytest.raises(BenchError):
        rows([{"hours": 0.0}, {"hours": 0.1}])
