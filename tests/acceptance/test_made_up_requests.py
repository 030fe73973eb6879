"""Requests made up from the API's own description, to a real node: none fails in a way that the description does not
know, and the node is as it was."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.acceptance.node import Node, settings
from tests.emulator.client import EmulatorProcess

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SHORTEST_WAIT = "0.05"
OF_ACME = {"clinic": "acme", "channel": "front"}
SENDABLE: dict[str, Any] = {
    "type": "text",
    "text": "Olá",
    "reply_to": None,
    "mentions": [],
    "not_before": None,
    "expires_at": None,
    "deliver_by": None,
    "meta": None,
}
FEW = hypothesis.settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def temper(case: Case[Any], number: int) -> None:
    """Have nobody wait long, and every other message be one that can be sent: by chance it is next to never."""
    if "wait" in (case.query or {}):
        case.query["wait"] = SHORTEST_WAIT
    if case.path.endswith("/send") and isinstance(case.body, dict) and number % 2:
        case.body = {**case.body, **SENDABLE}


def ask_everything(url: str, key: str, document: dict[str, Any]) -> int:
    """Make up a few requests for each operation, good ones and bad ones; how many there were."""
    schema = schemathesis.openapi.from_dict(document)
    asked = 0
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"

        def ask(case: Case[Any]) -> None:
            nonlocal asked
            asked += 1
            temper(case, asked)
            response = case.call(base_url=url, session=session, timeout=40)
            case.validate_response(response, checks=CHECKS)

        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            if operation.path.endswith("/events"):
                continue  # answered without end
            # What there is is asked for too, but not removed: then there would be nothing left to ask for.
            known = [OF_ACME] if "{clinic}" in operation.path and operation.method != "delete" else []
            for names in (None, *known):
                for mode in GenerationMode:
                    strategy = operation.as_strategy(mode, path_parameters=names)
                    with suppress(Unsatisfiable):  # what takes nothing can be given nothing wrong
                        FEW(hypothesis.given(case=strategy)(ask))()
    return asked


async def test_no_request_that_can_be_made_up_makes_the_node_fail(tmp_path: Path, emulator: EmulatorProcess) -> None:
    tables: dict[str, dict[str, Any]] = {"channel": {"start": "lazy"}, "limits": {"channels_per_clinic": 2}}
    async with Node(tmp_path / "node", settings(emulator.ready, tables)) as node:
        await node.add("acme", "front")
        document = await node.request("GET", "/api/v1/openapi.json")
        key = await asyncio.to_thread(Path(node.where["admin_key"]).read_text)

        asked = await asyncio.to_thread(ask_everything, node.where["http"], key.strip(), document)

        assert asked > 300
        assert (await node.request("GET", "/ready"))["ready"]
        assert (await node.channel("acme", "front"))["channel"] == "front"
        assert not re.findall("failed in an unknown way|Traceback", node.log)
