"""A channel's actor that answers whatever it is asked as the test wants, and notes it."""

from collections.abc import Callable
from typing import Any

from actors.places import channel_name
from supervisor.actor import Actor
from supervisor.names import Names
from tests.fakes.parent import Parent

Script = Callable[[Any], Any]


class AnsweringChannel(Actor):
    """``script`` makes the answer of a request (an exception is one too); what it raises is answered as well."""

    def __init__(self, parent: Parent, names: Names, clinic: str, channel: str, script: Script) -> None:
        super().__init__(parent.link, names.name(channel_name(clinic, channel)))
        self.asked: list[Any] = []
        self._script = script

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        self.asked.append(request)
        answer = self._script(request)
        if answer is not SILENCE:
            reply(answer)


SILENCE = object()
"""A script's answer that is none."""
