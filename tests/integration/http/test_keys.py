import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.access.api_keys import ApiKeys
from gateway.access.secret import digest
from gateway.http.server import AdminServer
from protocol.access import Role
from protocol.commands import utc_now
from protocol.errors import StoreUnavailableError
from tests.integration.http.conftest import Entering
from tests.integration.http.test_routes import API, FRONT, ask
from tests.unit.gateway.http.fake_node import FakeOperations

KEYS = f"{API}/keys"


def id_of(session: aiohttp.ClientSession) -> str:
    return session.headers["X-Key-Id"]


async def made(session: aiohttp.ClientSession, **body: Any) -> tuple[int, Any]:
    return await ask(session, "POST", KEYS, json={"name": "k", "role": "viewer", **body})


async def test_a_key_is_made_shown_once_used_and_revoked(
    server: AdminServer, operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession, tmp_path: Path
) -> None:
    status, new = await made(operator, name="Recepção", role="operator", clinics=["acme"], per_hour=50)
    assert status == 201
    headers = {"Authorization": f"Bearer {new['key']}"}

    assert (await ask(stranger, "POST", f"{FRONT}/connect", headers=headers))[0] == 200
    listed = (await ask(operator, "GET", KEYS))[1]["items"]
    (shown,) = [key for key in listed if key["id"] == new["id"]]
    assert shown == {field: value for field, value in new.items() if field != "key"} | {
        "last_used_at": shown["last_used_at"]
    }
    assert shown["last_used_at"] is not None
    assert new["key"] not in (tmp_path / "keys.json").read_text()
    assert digest(new["key"]) not in str(listed)

    assert (await ask(operator, "DELETE", f"{KEYS}/{new['id']}"))[0] == 204
    assert (await ask(stranger, "POST", f"{FRONT}/connect", headers=headers))[0] == 401
    assert (await ask(operator, "DELETE", f"{KEYS}/{new['id']}"))[0] == 404
    assert (await ask(operator, "GET", f"{KEYS}/{new['id']}"))[0] == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "owner"}, "role"),
        ({"name": ""}, "name"),
        ({"clinics": []}, "clinics"),
        ({"clinics": ["UPPER"]}, "clinics[0]"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"per_hour": -1}, "per_hour"),
        ({"clinic": "acme"}, "body"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    operator: aiohttp.ClientSession, keys: ApiKeys, body: dict[str, Any], field: str
) -> None:
    status, problem = await made(operator, **body)

    assert (status, problem["field"]) == (400, field)
    assert len(keys.all()) == 1


async def test_keys_are_looked_for_by_role_and_clinic_page_by_page(operator: aiohttp.ClientSession) -> None:
    for number, clinics in enumerate((["acme"], ["acme", "bela"], ["bela"], None)):
        await made(operator, name=f"k{number}", role="viewer" if number else "operator", clinics=clinics)

    async def names(query: str) -> list[str]:
        return [key["name"] for key in (await ask(operator, "GET", f"{KEYS}?{query}"))[1]["items"]]

    assert (await names(""))[1:] == ["k0", "k1", "k2", "k3"]
    assert await names("clinic=acme") == ["k0", "k1"]
    assert await names("clinic=bela&role=viewer") == ["k1", "k2"]
    _, first = await ask(operator, "GET", f"{KEYS}?role=viewer&limit=2")
    assert await names(f"role=viewer&cursor={first['next']}") == ["k3"]


async def test_a_key_for_a_clinic_that_is_not_there_is_not_made(operator: aiohttp.ClientSession) -> None:
    assert (await made(operator, clinics=["acme", "nada"]))[0] == 404


async def test_a_key_that_was_being_made_while_its_clinic_was_removed_is_good_for_nothing(
    operator: aiohttp.ClientSession, keys: ApiKeys, operations: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = keys._write

    async def slowly(kept: Any) -> None:
        await write(kept)
        operations.names.pop("acme", None)  # and forget_clinic has looked for its keys before this one was there

    monkeypatch.setattr(keys, "_write", slowly)
    assert (await made(operator, clinics=["acme"]))[0] == 404
    assert len(keys.all()) == 1


async def test_the_administrator_of_a_clinic_makes_keys_for_that_one_alone(entering: Entering) -> None:
    admin = await entering(Role.ADMIN, "acme")

    assert (await made(admin, role="admin", clinics=["acme"]))[0] == 201
    assert (await made(admin))[0] == 403
    foreign, missing = await made(admin, clinics=["acme", "bela"]), await made(admin, clinics=["acme", "nada"])
    assert foreign[0] == missing[0] == 404
    assert str(foreign[1]).replace("bela", "nada") == str(missing[1])


async def test_the_administrator_of_a_clinic_sees_and_revokes_no_keys_of_others(
    entering: Entering, operator: aiohttp.ClientSession, keys: ApiKeys
) -> None:
    admin = await entering(Role.ADMIN, "acme")
    own = await entering(Role.VIEWER, "acme")
    others = [await entering(Role.VIEWER, "bela"), await entering(Role.VIEWER, "acme", "bela")]
    others += [await entering(Role.ADMIN)]

    listed = (await ask(admin, "GET", KEYS))[1]["items"]
    assert {key["id"] for key in listed} == {id_of(admin), id_of(own)}
    for other in others:
        for method in ("GET", "DELETE"):
            assert (await ask(admin, method, f"{KEYS}/{id_of(other)}"))[0] == 404
        assert (await ask(other, "GET", f"{API}/clinics"))[0] == 200
    assert (await ask(admin, "DELETE", f"{KEYS}/{id_of(own)}"))[0] == 204


async def test_a_key_is_made_no_wider_than_the_one_that_makes_it(entering: Entering) -> None:
    end = utc_now() + timedelta(days=1)
    admin = await entering(Role.ADMIN, "acme", expires_at=end, per_hour=500)

    _, heir = await made(admin, clinics=["acme"])
    assert (heir["expires_at"], heir["per_hour"]) == (end.isoformat().replace("+00:00", "Z"), 500)
    assert (await made(admin, clinics=["acme"], expires_at=(end + timedelta(hours=1)).isoformat()))[0] == 400
    assert (await made(admin, clinics=["acme"], per_hour=501))[0] == 400
    assert (await made(admin, clinics=["acme"], per_hour=0))[0] == 400
    assert (await made(admin, clinics=["acme"], per_hour=499))[0] == 201
    usual = await entering(Role.ADMIN, "acme")
    assert (await made(usual, clinics=["acme"]))[1]["per_hour"] is None
    assert (await made(usual, clinics=["acme"], per_hour=1001))[0] == 400


async def waits(session: aiohttp.ClientSession) -> int:
    async with session.post(f"{FRONT}/connect") as response:
        return response.status


async def test_a_request_under_way_ends_when_its_key_is_revoked_and_no_other_does(
    entering: Entering, operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    operations.hanging.add("connect")
    thief = await entering(Role.OPERATOR, "acme")
    under_way = asyncio.create_task(waits(thief))
    await operations.entered.wait()
    operations.entered.clear()
    another = asyncio.create_task(waits(await entering(Role.OPERATOR, "acme")))
    await operations.entered.wait()

    await ask(operator, "DELETE", f"{KEYS}/{id_of(thief)}")

    assert await under_way == 401
    assert await another == 504


async def test_a_request_under_way_ends_when_its_key_expires(entering: Entering, operations: FakeOperations) -> None:
    operations.hanging.add("connect")

    assert await waits(await entering(Role.OPERATOR, expires_at=utc_now() + timedelta(seconds=1))) == 401


async def test_a_key_can_revoke_itself(entering: Entering) -> None:
    admin = await entering(Role.ADMIN, "acme")

    assert (await ask(admin, "DELETE", f"{KEYS}/{id_of(admin)}"))[0] == 204
    assert (await ask(admin, "GET", KEYS))[0] == 401


async def test_an_expired_key_is_told_so(entering: Entering, keys: ApiKeys) -> None:
    viewer = await entering(Role.VIEWER, expires_at=utc_now() - timedelta(seconds=1))

    status, problem = await ask(viewer, "GET", f"{API}/clinics")

    assert (status, "has expired" in problem["detail"]) == (401, True)


async def test_the_keys_of_a_removed_clinic_open_nothing(entering: Entering, operator: aiohttp.ClientSession) -> None:
    viewer = await entering(Role.VIEWER, "acme")
    assert (await ask(viewer, "GET", FRONT))[0] == 200

    assert (await ask(operator, "DELETE", f"{API}/clinics/acme"))[0] == 204
    await ask(operator, "POST", f"{API}/clinics", json={"id": "acme", "name": "Another"})

    assert (await ask(viewer, "GET", f"{API}/clinics/acme"))[0] == 401


async def test_keys_that_could_not_be_revoked_with_their_clinic_are_when_that_is_asked_for_again(
    entering: Entering, operator: aiohttp.ClientSession, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = await entering(Role.VIEWER, "acme")

    async def cut_off(_clinic: str) -> None:
        raise StoreUnavailableError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(keys, "forget_clinic", cut_off)
        assert (await ask(operator, "DELETE", f"{API}/clinics/acme"))[0] == 503
    assert (await ask(operator, "DELETE", f"{API}/clinics/acme"))[0] == 404
    await ask(operator, "POST", f"{API}/clinics", json={"id": "acme", "name": "Another"})

    assert (await ask(viewer, "GET", f"{API}/clinics/acme"))[0] == 401
