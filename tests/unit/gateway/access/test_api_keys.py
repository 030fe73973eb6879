import asyncio
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.access import key_file
from gateway.access.api_keys import MOST_FOR_ALL, MOST_PER_CLINIC, ApiKeys, open_keys
from gateway.access.key import ApiKey
from protocol.access import Role
from protocol.errors import ConflictError, NotFoundError, StoreUnavailableError
from tests.unit.gateway.access.made import BEGAN, api_key


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


def opened(data: Path) -> ApiKeys:
    return open_keys(data, data / "admin.key", Clock())


def admin(data: Path) -> str:
    return (data / "admin.key").read_text().strip()


async def clinic_key(keys: ApiKeys, *clinics: str) -> tuple[ApiKey, str]:
    return await keys.make("k", Role.OPERATOR, list(clinics), made_by="test")


async def test_the_first_start_makes_an_admin_key_and_the_next_one_knows_it(tmp_path: Path) -> None:
    first = opened(tmp_path).find(admin(tmp_path))

    again = opened(tmp_path).find(admin(tmp_path))

    assert first is not None
    assert first == again
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


async def test_a_new_key_is_found_by_its_secret_alone_and_after_a_restart(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    key, secret = await keys.make(
        "Recepção",
        Role.VIEWER,
        ["bela", "acme", "acme"],
        made_by="test",
        expires_at=BEGAN + timedelta(days=1),
        per_hour=5,
    )

    assert keys.find(secret) is key
    assert (key.clinics, key.role, key.per_hour) == (["acme", "bela"], Role.VIEWER, 5)
    assert opened(tmp_path).find(secret) == key
    assert keys.find(secret[:-1]) is None
    assert keys.find("") is None
    assert keys.find("\udcff") is None


def test_what_a_kill_has_left_of_writing_is_removed(tmp_path: Path) -> None:
    for name in (".keys.json.x.draft", ".admin.key.x.draft"):
        (tmp_path / name).write_text("half")

    opened(tmp_path)

    assert {file.name for file in tmp_path.iterdir()} == {"keys.json", "admin.key"}


async def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    _, secret = await clinic_key(opened(tmp_path), "acme")

    content = (tmp_path / "keys.json").read_text()

    assert secret not in content
    assert admin(tmp_path) not in content
    assert secret.startswith("plantao_")
    assert len(secret) >= len("plantao_") + 43


async def test_a_revoked_key_is_good_for_nothing_at_once_and_after_a_restart(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    key, secret = await clinic_key(keys, "acme")
    told: list[tuple[str, bool]] = []
    keys.on_revoked(lambda which: told.append((which, keys.find(secret) is None)))

    await keys.revoke(key.id)

    assert told == [(key.id, True)]
    assert opened(tmp_path).find(secret) is None
    with pytest.raises(NotFoundError):
        await keys.revoke(key.id)
    with pytest.raises(NotFoundError):
        keys.get(key.id)


async def test_the_admin_key_can_be_revoked_and_removing_its_file_makes_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = opened(tmp_path)
    lost = admin(tmp_path)
    found = keys.find(lost)
    assert found is not None
    await keys.revoke(found.id)
    with pytest.raises(NotFoundError):
        await keys.revoke(found.id)

    assert opened(tmp_path).find(lost) is None
    assert "remove the file" in caplog.text

    (tmp_path / "admin.key").unlink()
    recovered = opened(tmp_path)
    assert recovered.find(admin(tmp_path)) is not None
    assert [key.id for key in recovered.all()] != [found.id]


async def test_a_lost_admin_key_is_good_for_nothing_once_there_is_another(tmp_path: Path) -> None:
    opened(tmp_path)
    lost = admin(tmp_path)
    (tmp_path / "admin.key").unlink()

    keys = opened(tmp_path)

    assert keys.find(lost) is None
    (tmp_path / "admin.key").write_text(lost)
    assert opened(tmp_path).find(lost) is None


async def test_a_revocation_that_cannot_be_written_holds_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = opened(tmp_path)
    key, secret = await clinic_key(keys, "acme")

    def full(path: Path, kept: object) -> None:
        raise StoreUnavailableError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(key_file, "write", full)
        with pytest.raises(StoreUnavailableError):
            await keys.revoke(key.id)
        with pytest.raises(StoreUnavailableError):
            await clinic_key(keys, "acme")
    assert keys.find(secret) is None
    assert opened(tmp_path).find(secret) is not None

    await keys.revoke(key.id)

    assert opened(tmp_path).find(secret) is None
    assert len(keys.all()) == 1


async def test_who_gives_up_a_change_does_not_let_an_older_one_overtake_a_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = opened(tmp_path)
    key, secret = await clinic_key(keys, "acme")
    loop, begun, write = asyncio.get_running_loop(), asyncio.Event(), key_file.write
    proceed = asyncio.Event()

    def slow(path: Path, kept: list[ApiKey]) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(proceed.wait(), loop).result(10)
        write(path, kept)

    monkeypatch.setattr(key_file, "write", slow)
    adding = asyncio.create_task(clinic_key(keys, "acme"))
    await begun.wait()
    adding.cancel()
    revoking = asyncio.create_task(keys.revoke(key.id))
    await asyncio.sleep(0)
    proceed.set()
    await revoking

    assert opened(tmp_path).find(secret) is None
    assert len(opened(tmp_path).all()) == len(keys.all()) == 2


async def test_the_keys_of_a_clinic_that_is_removed_are_not_those_of_the_next_one_of_that_name(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    own, secret = await clinic_key(keys, "acme")
    both, shared = await clinic_key(keys, "acme", "bela")
    other, _ = await clinic_key(keys, "bela")
    told: list[str] = []
    keys.on_revoked(told.append)

    await keys.forget_clinic("acme")

    for now in (keys, opened(tmp_path)):
        assert now.find(secret) is None
        found = now.find(shared)
        assert found is not None
        assert found.clinics == ["bela"]
        assert not found.caller.sees("acme")
    assert set(told) == {own.id, both.id}
    assert keys.get(other.id) == other


async def test_a_clinic_and_the_node_have_so_many_keys_and_no_more(tmp_path: Path) -> None:
    full = [api_key(f"c{number}", f"c{number}", clinics=["acme"]) for number in range(MOST_PER_CLINIC)]
    full += [api_key(f"n{number}", f"n{number}") for number in range(MOST_FOR_ALL)]
    keys = ApiKeys(tmp_path / "keys.json", full, Clock())

    with pytest.raises(ConflictError, match="clinic acme"):
        await clinic_key(keys, "bela", "acme")
    with pytest.raises(ConflictError, match="for all clinics"):
        await keys.make("k", Role.VIEWER, None, made_by="test")
    await clinic_key(keys, "bela")


async def test_when_a_key_was_last_used_is_known_since_the_start(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    key, _ = await clinic_key(keys, "acme")
    assert keys.last_used_at(key.id) is None

    keys.used(key.id)

    assert keys.last_used_at(key.id) == BEGAN


@pytest.mark.parametrize("content", [b"", b"{}", b'{"v": 2, "keys": []}', b'{"v": 1, "keys": [{"id": "x"}]}', b"\xff"])
def test_a_damaged_file_is_refused_with_the_mend_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(content)

    with pytest.raises(StoreUnavailableError, match=r"keys\.json is damaged: put back a copy, or remove it"):
        opened(tmp_path)
    assert (tmp_path / "keys.json").read_bytes() == content
