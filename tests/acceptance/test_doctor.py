"""``plantao doctor`` beside a whole node."""

import json
from pathlib import Path
from typing import Any

from tests.acceptance.node import Node, settings
from tests.emulator.client import EmulatorProcess

CONFIG = ("--config", "plantao.toml", "--data", "data")


async def told(node: Node, *arguments: str, code: int = 0) -> dict[str, list[dict[str, Any]]]:
    """What is found, by what was looked at."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(await node.cli("doctor", *arguments, "--json", code=code))["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


async def test_a_node_that_is_well_is_told_to_be_so(node: Node) -> None:
    found = await told(node, *CONFIG)

    assert [finding["level"] for finding in found["node"]] == ["fine"]
    assert [finding["level"] for finding in found["data"]] == ["fine"]
    assert {finding["told"] for finding in found["sockets"]} == {"a node runs, and holds them"}
    assert any("with which" in finding["told"] for finding in found["keys"])
    assert [finding["check"] for checks in found.values() for finding in checks if finding["level"] == "wrong"] == []


async def test_a_key_that_the_node_does_not_take_is_told(node: Node) -> None:
    (node.data / "admin.key").write_text("plantao_another\n")

    (found,) = (await told(node, *CONFIG))["node"]

    assert (found["level"], "the next start makes another" in found["mend"]) == ("warning", True)


async def test_a_node_that_is_away_a_port_that_is_taken_and_a_key_that_is_another_are_told(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    node = Node(tmp_path / "node", settings(emulator.ready))
    async with node:
        port = node.where["http"].rpartition(":")[2]
        (tmp_path / "node" / "other.toml").write_text(f'data = "elsewhere"\n[http]\nport = {port}\n')
        taken = await told(node, "--config", "other.toml", code=1)
        assert "taken by another program" in taken["sockets"][0]["told"]
        assert not (tmp_path / "node" / "elsewhere").exists()
    (node.directory / "key").write_text("5f" * 32)
    (node.directory / "key").chmod(0o644)
    (node.directory / "key.toml").write_text('[keys]\nmaster_file = "key"\n')

    found = await told(node, "--config", "key.toml", "--data", "data", code=1)

    assert found["node"][0]["mend"].startswith("start one with: plantao run")
    assert [finding["level"] for finding in found["keys"][:3]] == ["fine", "wrong", "wrong"]


async def test_settings_that_are_wrong_are_told_like_all_else(tmp_path: Path) -> None:
    node = Node(tmp_path, "")
    (tmp_path / "bad.toml").write_text("[http]\nprot = 1\n")

    said = await node.cli("doctor", "--config", "bad.toml", code=1)

    assert "perhaps http.port" in said
    assert "→ correct it" in said
