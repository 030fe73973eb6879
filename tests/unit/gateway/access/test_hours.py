from typing import Any

import pytest

from gateway.access.hours import HOUR_S, KEYS_OF_A_CLINIC, Hours
from gateway.access.key import ApiKey
from tests.unit.gateway.access.made import api_key

MOST = 3 * KEYS_OF_A_CLINIC


def hours(key_requests: int = 3) -> tuple[Hours, list[float]]:
    """And its clock, which stands."""
    clock = [0.0]
    return Hours(key_requests, lambda: clock[0]), clock


def key(number: int, *clinics: str, **changes: Any) -> ApiKey:
    return api_key(f"k{number}", f"k{number}", clinics=list(clinics) or None, **changes)


def admitted(hours: Hours, clinic: str | None, *clinics: str, times: int = MOST, **changes: Any) -> int:
    """Of so many requests, each with another key."""
    keys = [key(number, *clinics, **changes) for number in range(times)]
    return sum(hours.take(one, clinic) is None for one in keys)


def test_the_keys_of_a_clinic_share_ten_times_what_one_has() -> None:
    counted, clock = hours()
    assert admitted(counted, "acme", "acme", times=MOST + 5) == MOST
    refused = counted.take(key(100, "acme"), None)
    assert refused is not None
    assert (refused.why, refused.wait_s) == ("clinic", HOUR_S)
    assert "clinic acme" in refused.whose
    clock[0] = HOUR_S
    assert counted.take(key(100, "acme"), None) is None


def test_others_do_not_notice() -> None:
    counted, _ = hours()
    admitted(counted, "acme", "acme")
    assert admitted(counted, "bela", "bela") == MOST
    assert admitted(counted, "acme") == MOST  # with keys for all clinics


def test_what_names_a_clinic_counts_for_that_one_alone() -> None:
    counted, _ = hours()
    assert admitted(counted, "acme", "acme", "bela", times=MOST + 1) == MOST
    assert admitted(counted, "bela", "acme", "bela") == MOST
    assert admitted(counted, None, "bela") == 0


def test_what_names_none_of_its_clinics_counts_for_all_of_them() -> None:
    counted, _ = hours()
    admitted(counted, "coda", "acme", "bela")
    assert admitted(counted, None, "bela") == 0


@pytest.mark.parametrize("changes", [{"per_hour": 0}, {"per_hour": MOST + 1}])
def test_a_key_that_was_given_more_has_it(changes: dict[str, int]) -> None:
    counted, _ = hours()
    granted = key(1, "acme", **changes)
    assert [counted.take(granted, None) for _ in range(MOST + 1)] == [None] * (MOST + 1)


def test_without_a_limit_of_a_key_there_is_none_of_a_clinic() -> None:
    counted, _ = hours(0)
    assert admitted(counted, None, "acme", times=MOST * 2) == MOST * 2


def test_a_key_by_itself_has_its_own() -> None:
    counted, _ = hours()
    mine = key(1, "acme")
    whys = [refused and refused.why for refused in (counted.take(mine, None) for _ in range(4))]
    assert whys == [None, None, None, "key"]


def test_what_a_clinic_s_keys_do_stops_no_key_that_is_also_for_another() -> None:
    counted, _ = hours()
    admitted(counted, "acme", "acme")
    both = key(1, "acme", "bela", per_hour=5)
    assert counted.take(both, None) is None
    assert counted.take(both, "bela") is None
    assert counted.take(both, "acme") is not None


def test_what_a_key_asks_that_was_given_more_stops_no_other() -> None:
    counted, _ = hours()
    assert admitted(counted, None, "acme", "bela", per_hour=MOST + 1, times=MOST + 5) == MOST + 1
    assert admitted(counted, "acme", "acme") == MOST
    assert admitted(counted, None, "bela") == MOST
