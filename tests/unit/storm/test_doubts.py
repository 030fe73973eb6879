"""What counts as recorded as uncertain."""

from typing import Any

from tests.acceptance.node import NodeError
from tests.storm.doubts import uncertain
from tests.storm.evidence import Command


class ShowingNode:
    """Shows these views of commands, and knows no other."""

    def __init__(self, **views: Any) -> None:
        self._views = views

    async def request(self, _method: str, path: str) -> Any:
        name = path.rpartition("/")[2]
        if name not in self._views:
            raise NodeError("404", 404)
        return self._views[name]


def command(name: str) -> Command:
    return Command(name, ("acme", "desk"), "5511888000001", "normal", 1, 1.0, 2.0)


async def test_the_log_or_the_history_says_so() -> None:
    node: Any = ShowingNode(
        b={"history": [{"error": {"code": "outcome_unknown"}}]},
        c={"history": [{"error": {"code": "server_error"}}]},
    )
    log = ['{"id": "a", "event": "resent in doubt"}', '{"id": "d", "event": "send again"}']
    found = await uncertain(node, [command(name) for name in "abcd"], log)
    assert found == {"a", "b"}
