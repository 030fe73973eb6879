import io
import sys

import pytest
import typer

from config.cli.asking import confirm
from protocol.errors import InvalidInputError


class Person(io.StringIO):
    """A terminal at which somebody types what it was made with."""

    def isatty(self) -> bool:
        return True


def test_a_person_who_says_yes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Person("y\n"))

    confirm("Remove?", yes=False)


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_whoever_does_not_say_yes_is_left_alone(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys, "stdin", Person(answer))

    with pytest.raises(typer.Abort):
        confirm("Remove?", yes=False)


def test_without_a_person_to_ask_yes_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(InvalidInputError, match="--yes"):
        confirm("Remove?", yes=False)
    confirm("Remove?", yes=True)
