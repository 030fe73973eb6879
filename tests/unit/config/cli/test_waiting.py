from collections.abc import Sequence
from typing import Any, cast

import pytest

from config.cli.client import NodeAwayError, NodeClient, NodeRefusedError
from config.cli.waiting import ResultUnknownError, follow, outcome
from protocol.errors import PlantaoError

WHERE = ("acme", "front", "r-1")


class ScriptedNode:
    """Answers each look with the next of ``looks``, as long after it as is told with it."""

    def __init__(self, *looks: tuple[float, str | PlantaoError]) -> None:
        self._looks = list(looks)
        self.now = 0.0
        self.asked: list[str] = []
        self.said: list[str] = []

    def get(self, *path: str, wait: str) -> dict[str, Any]:
        assert path == ("clinics", "acme", "channels", "front", "messages", "r-1")
        self.asked.append(wait)
        seconds, look = self._looks.pop(0)
        self.now += seconds
        if isinstance(look, PlantaoError):
            raise look
        return {"state": look}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def follow(self, timeout: float) -> dict[str, Any]:
        node = cast(NodeClient, self)
        return follow(node, WHERE, timeout, self.said.append, clock=lambda: self.now, sleep=self.sleep)


@pytest.mark.parametrize("state", ["sent", "failed", "expired", "held", "discarded"])
def test_a_command_is_followed_to_its_end(state: str) -> None:
    node = ScriptedNode((20, "waiting"), (20, "in_flight"), (1, state))
    assert node.follow(50.0)["state"] == state
    assert node.asked == ["20.00", "20.00", "10.00"]
    assert node.said == ["waiting", "in_flight"]


@pytest.mark.parametrize("status", [404, 503, 504])
def test_what_is_not_known_yet_is_asked_again_after_a_pause(status: int) -> None:
    node = ScriptedNode((0, NodeRefusedError(status, {})), (0, "scheduled"), (0, "sent"))
    assert node.follow(60.0)["state"] == "sent"
    assert node.now == 2.0


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        ([(20.0, "waiting"), (20.0, "scheduled"), (20.0, "scheduled")], "it is still scheduled after 60 s"),
        ([(30.0, NodeRefusedError(404, {}))] * 2, "it is still on the queue after 60 s"),
        ([(0.0, NodeRefusedError(401, {"detail": "the key is not valid"}))], "the key is not valid"),
        ([(0.0, NodeAwayError("no node answers"))], "no node answers"),
    ],
)
def test_without_an_end_it_is_said_how_to_look_again(looks: Sequence[Any], why: str) -> None:
    with pytest.raises(ResultUnknownError) as caught:
        ScriptedNode(*looks).follow(60.0)
    assert str(caught.value) == (
        f"queued as r-1, but its result is not known: {why}; to look again: plantao message show acme front r-1"
    )


def test_an_end_is_told_in_a_sentence() -> None:
    error = {"code": "not_on_whatsapp", "message": "the recipient is not on WhatsApp"}
    assert outcome({"state": "sent", "wa_id": "3EB0"}) == "Sent as 3EB0."
    assert outcome({"state": "sent", "wa_id": None}) == "Sent."
    assert outcome({"state": "expired", "error": None}) == "Not sent, expired."
    assert outcome({"state": "failed", "error": error}) == (
        "Not sent, failed: the recipient is not on WhatsApp (not_on_whatsapp)."
    )
