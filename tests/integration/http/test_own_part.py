"""What is asked of all clinics shows each caller its own part."""

import json
from typing import Any

import aiohttp
import pytest

from protocol.access import Role
from tests.integration.http.conftest import Entering
from tests.integration.http.test_routes import API, ask
from tests.unit.gateway.http.fake_node import FakeHealth


def clinics_in(node: dict[str, Any]) -> list[str]:
    below = [clinic for child in node["children"] for clinic in clinics_in(child)]
    return [node["id"], *below] if node["kind"] == "clinic" else below


async def test_lists_hold_what_the_key_is_for(entering: Entering) -> None:
    viewer = await entering(Role.VIEWER, "acme")

    assert [clinic["id"] for clinic in (await ask(viewer, "GET", f"{API}/clinics"))[1]["items"]] == ["acme"]
    assert {channel["clinic"] for channel in (await ask(viewer, "GET", f"{API}/channels"))[1]["items"]} == {"acme"}


async def test_the_tree_holds_what_the_key_is_for_and_nothing_of_the_node(entering: Entering) -> None:
    viewer = await entering(Role.VIEWER, "bela")

    _, tree = await ask(viewer, "GET", f"{API}/tree")

    assert clinics_in(tree) == ["bela"]
    assert "acme" not in json.dumps(tree)
    assert set(tree["facts"]) == {"version", "uptime_s"}


@pytest.mark.parametrize("path", [f"{API}/channels", f"{API}/tree"])
async def test_to_ask_for_a_clinic_of_others_is_to_ask_for_none(entering: Entering, path: str) -> None:
    viewer = await entering(Role.VIEWER, "acme")

    foreign, missing = [await ask(viewer, "GET", f"{path}?clinic={clinic}") for clinic in ("bela", "nada")]

    assert foreign[0] == missing[0] == 404
    assert str(foreign[1]).replace("bela", "nada") == str(missing[1])
    assert (await ask(viewer, "GET", f"{path}?clinic=acme"))[0] == 200


async def test_a_key_for_a_clinic_that_does_not_run_sees_no_tree(entering: Entering, health: FakeHealth) -> None:
    assert (await ask(await entering(Role.VIEWER, "nova"), "GET", f"{API}/tree"))[0] == 404


async def test_readiness_names_to_a_key_its_clinics_and_to_one_for_all_the_reasons(
    entering: Entering, operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession, health: FakeHealth
) -> None:
    health.broken["store"] = "clinic bela: locked"
    viewer = await entering(Role.VIEWER, "acme")

    answers = [(await ask(client, "GET", "/ready"))[1] for client in (stranger, viewer, operator)]

    assert [[c["clinic"] for c in answer.get("clinics", [])] for answer in answers] == [[], ["acme"], ["acme", "bela"]]
    assert [answer["store"]["reason"] for answer in answers] == ["", "", "clinic bela: locked"]
