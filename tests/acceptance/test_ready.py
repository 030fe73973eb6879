"""What a node that says it is ready knows: all clinics that the registry wants, and that there are no others."""

import asyncio
import json

import pytest

from tests.acceptance.node import Node, NodeError

CLINICS = [f"clinic-{number}" for number in range(5)]


async def test_from_the_ready_line_on_every_clinic_is_there(node: Node) -> None:
    for clinic in CLINICS:
        await node.add(clinic, "reception")
    await node.close_http()
    await asyncio.to_thread(node.stop)
    async with node:
        assert (await node.request("GET", "/ready"))["ready"]
        for clinic in reversed(CLINICS):
            assert (await node.request("GET", f"/api/v1/clinics/{clinic}"))["id"] == clinic
        listed = await node.request("GET", "/api/v1/clinics")
        assert [clinic["id"] for clinic in listed["items"]] == CLINICS
        with pytest.raises(NodeError) as refused:
            await node.request("GET", "/api/v1/clinics/clinic-9")
        assert refused.value.status == 404


async def test_the_nodes_file_holds_the_new_password_once_that_is_rotated(node: Node) -> None:
    before = node.where["nats"]
    new = (await node.request("POST", "/api/v1/nats/service/rotate"))["url"]
    async with asyncio.timeout(10):
        while (found := json.loads((node.data / "node.json").read_bytes())["nats"]) == before:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.05)
    assert found == new
