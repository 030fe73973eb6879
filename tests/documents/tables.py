"""Words as Markdown has them."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _cell(text: str) -> str:
    text = text.replace("|", r"\|")
    return text if "`" in text else text.replace("<", r"\<")


def marked(said: str) -> str:
    """A docstring's words, on one line."""
    return " ".join(said.replace("``", "`").split())
