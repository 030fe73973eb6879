"""A child that raises where it is told to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from supervisor.actor import Actor, Link
from supervisor.reasons import ExitReason

Where = Literal["initialize", "handle", "answer", "shut_down", "cleanup", "given_up"]


@dataclass(frozen=True, slots=True)
class Poke:
    """A message that makes the child raise, if it does so in ``handle``."""


class CrashingChild(Actor):
    """Raises ``error`` in the hook ``where``."""

    def __init__(self, link: Link, where: Where, error: BaseException) -> None:
        super().__init__(link)
        self._where = where
        self._error = error

    def _at(self, where: Where) -> None:
        if where == self._where:
            raise self._error

    def initialize(self) -> bool:
        self._at("initialize")
        return True

    def handle(self, message: Any) -> None:
        self._at("handle")

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        self._at("answer")
        reply("answered")

    def shut_down(self, reason: ExitReason) -> None:
        self._at("shut_down")
        super().shut_down(reason)

    def cleanup(self, reason: ExitReason) -> None:
        self._at("cleanup")

    def given_up(self) -> None:
        self._at("given_up")
