"""A job is looked at less and less often, and through a node that is busy; never for ever if that has forgotten it."""

from typing import Any, cast

import pytest

from config.cli.asking import Asking
from config.cli.client import NodeClient, NodeRefusedError
from config.cli.following import LONGEST_LOOK_S, LOOK_S, JobLostError, follow
from config.cli.output import Output

RUNNING = {"id": "17", "kind": "backup", "state": "running", "step": "", "done": 0, "total": None, "error": None}


class Saying:
    """A node that says one thing after another."""

    def __init__(self, *said: dict[str, Any] | int) -> None:
        self.said = list(said)

    def get(self, *_path: str) -> dict[str, Any]:
        said = self.said.pop(0)
        if isinstance(said, int):
            raise NodeRefusedError(said, {})
        return said


def followed(*said: dict[str, Any] | int) -> tuple[dict[str, Any], list[float]]:
    pauses: list[float] = []
    node = cast(NodeClient, Saying(*said))
    asking = Asking(node, Output(as_json=True), lambda: node)
    return follow(asking, RUNNING, sleep=pauses.append), pauses


def test_a_node_that_is_busy_is_asked_again() -> None:
    done = {**RUNNING, "state": "done"}
    assert followed(RUNNING, 429, 503, 504, done)[0] == done


def test_looks_become_rare_enough_for_a_key_that_may_not_ask_often() -> None:
    _, pauses = followed(*[RUNNING] * 300, {**RUNNING, "state": "done"})
    assert pauses[0] == LOOK_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_LOOK_S
    hour = [sum(pauses[: count + 1]) for count in range(len(pauses))]
    assert sum(at < 3600 for at in hour) < 400


def test_a_node_that_was_started_again_knows_nothing_of_it() -> None:
    with pytest.raises(JobLostError, match="17"):
        followed(RUNNING, 404)


def test_who_does_not_wait_is_told_how_to_look_again() -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    node = cast(NodeClient, Saying())
    asking = Asking(node, Output(as_json=True), lambda: node)
    with pytest.raises(JobLostError, match="plantao job show 17"):
        follow(asking, RUNNING, sleep=interrupted)
