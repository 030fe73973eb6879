from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.access.api_keys import ApiKeys
from gateway.access.key import ApiKey
from gateway.access.sessions import LASTS, MOST_PER_KEY, Sessions
from tests.unit.gateway.access.made import BEGAN, api_key


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> ApiKeys:
    soon = BEGAN + timedelta(hours=1)
    made = [
        api_key("one", "k1"),
        api_key("two", "k2", clinics=["acme", "bela"]),
        api_key("brief", "k3", expires_at=soon),
    ]
    return ApiKeys(tmp_path / "keys.json", made, clock)


@pytest.fixture
def sessions(keys: ApiKeys) -> Sessions:
    return Sessions(keys)


def found(sessions: Sessions, secret: str) -> ApiKey | None:
    known = sessions.find(secret)
    return None if known is None else known[1]


def test_a_session_stands_for_its_key_for_so_long(sessions: Sessions, keys: ApiKeys, clock: Clock) -> None:
    session, secret = sessions.begin(keys.get("one"))

    assert secret not in repr(session)
    clock.now += LASTS - timedelta(seconds=1)
    assert found(sessions, secret) == keys.get("one")
    clock.now += timedelta(seconds=1)
    assert found(sessions, secret) is None


@pytest.mark.parametrize("secret", ["", "k1", "plantao_guess", "\udcff"])
def test_nothing_else_is_a_session(sessions: Sessions, keys: ApiKeys, secret: str) -> None:
    sessions.begin(keys.get("one"))

    assert found(sessions, secret) is None


def test_it_ends_with_a_key_that_expires_before(sessions: Sessions, keys: ApiKeys, clock: Clock) -> None:
    session, secret = sessions.begin(keys.get("brief"))

    assert session.expires_at == keys.get("brief").expires_at
    clock.now += timedelta(hours=1)
    assert found(sessions, secret) is None


async def test_it_ends_with_a_key_that_is_revoked(sessions: Sessions, keys: ApiKeys) -> None:
    ended: list[str] = []
    sessions.on_ended(ended.append)
    session, secret = sessions.begin(keys.get("one"))
    _, other = sessions.begin(keys.get("two"))

    await keys.revoke("one")

    assert found(sessions, secret) is None
    assert ended == [session.digest]
    assert found(sessions, other) is not None


async def test_of_a_key_that_is_good_for_less_it_stays_and_is_good_for_less(sessions: Sessions, keys: ApiKeys) -> None:
    _, secret = sessions.begin(keys.get("two"))

    await keys.forget_clinic("bela")

    key = found(sessions, secret)
    assert key is not None
    assert key.clinics == ["acme"]


def test_one_that_is_ended_is_good_for_nothing(sessions: Sessions, keys: ApiKeys) -> None:
    session, secret = sessions.begin(keys.get("one"))

    sessions.end(session.digest)
    sessions.end(session.digest)

    assert found(sessions, secret) is None
    assert len(sessions) == 0


def test_of_too_many_the_first_of_the_same_key_ends(sessions: Sessions, keys: ApiKeys) -> None:
    _, other = sessions.begin(keys.get("two"))
    secrets = [sessions.begin(keys.get("one"))[1] for _ in range(MOST_PER_KEY + 1)]

    assert [found(sessions, secret) is not None for secret in secrets] == [False] + [True] * MOST_PER_KEY
    assert found(sessions, other) is not None
    assert len(sessions) == MOST_PER_KEY + 1


def test_those_whose_time_is_over_take_no_room(sessions: Sessions, keys: ApiKeys, clock: Clock) -> None:
    for _ in range(MOST_PER_KEY):
        sessions.begin(keys.get("one"))
    clock.now += LASTS

    _, secret = sessions.begin(keys.get("one"))

    assert len(sessions) == 1
    assert found(sessions, secret) is not None
