"""What a node that says it is ready knows: all clinics that the registry wants, and that there are no others."""

import asyncio

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
