import json
from pathlib import Path
from typing import Any

from typer.testing import Result

from gateway.access.api_keys import ApiKeys
from protocol.access import Role
from tests.integration.http.conftest import Plantao


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


async def test_a_key_is_made_shown_once_listed_and_revoked(plantao: Plantao, keys: ApiKeys, tmp_path: Path) -> None:
    made = await plantao(
        "key", "add", "Recepção", "--role", "operator", "--clinic", "acme", "--clinic", "bela",
        "--expires", "+3d", "--per-hour", "500",
    )  # fmt: skip
    secret, explained = made.stdout.splitlines()
    found = keys.find(secret)
    assert found is not None
    assert (found.role, found.clinics, found.per_hour) == (Role.OPERATOR, ["acme", "bela"], 500)
    assert found.expires_at is not None
    assert explained == f"This is key {found.id}; it is not shown again."

    listed = await plantao("key", "list")
    assert "Recepção" in listed.stdout
    assert "acme, bela" in listed.stdout
    assert secret not in listed.stdout

    (tmp_path / "own.key").write_text(secret)
    refused = await plantao("key", "list", "--key-file", str(tmp_path / "own.key"))
    assert (refused.exit_code, "takes a key with the role admin" in refused.stderr) == (2, True)
    assert (await plantao("key", "revoke", found.id)).exit_code == 2
    assert (await plantao("key", "revoke", found.id, "--yes")).stdout == f"Key {found.id} is revoked.\n"
    assert keys.find(secret) is None


async def test_all_answers_come_in_json_when_asked(plantao: Plantao) -> None:
    made = said(await plantao("key", "add", "k", "--role", "viewer", "--json"))
    assert made["key"].startswith("plantao_")
    assert [key["id"] for key in said(await plantao("key", "list", "--json"))["items"]][-1] == made["id"]
    assert said(await plantao("key", "revoke", made["id"], "--yes", "--json")) == {"revoked": made["id"]}


async def test_a_time_that_is_none_is_named(plantao: Plantao) -> None:
    refused = await plantao("key", "add", "k", "--role", "viewer", "--expires", "soon")

    assert (refused.exit_code, "--expires" in refused.stderr) == (2, True)
