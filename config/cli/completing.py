"""Ids that a shell completes, asked of the running node. Where none runs, or it does not answer at once, there are
none: whoever types must not wait, nor be told."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import typer

from config.cli.client import NodeClient
from protocol.errors import PlantaoError

PATIENCE_S: Final = 1.0
MOST: Final = 200
"""More than that nobody reads; the next letter leaves fewer."""
_DATA: Final = "data"


def clinics(context: typer.Context, incomplete: str) -> list[str]:
    """Clinics that the key may see."""
    return _ids(context, incomplete, lambda node: (one["id"] for one in _list(node, "clinics")))


def channels(context: typer.Context, incomplete: str) -> list[str]:
    """Channels of the clinic that was typed before."""
    clinic = context.params.get("clinic")
    if not isinstance(clinic, str) or not clinic:
        return []
    return _ids(
        context, incomplete, lambda node: (one["channel"] for one in _list(node, "clinics", clinic, "channels"))
    )


def _list(node: NodeClient, *path: str) -> Iterable[dict[str, str]]:
    found: list[dict[str, str]] = node.get_within(PATIENCE_S, *path)["items"]
    return found


def _ids(context: typer.Context, incomplete: str, ask: Callable[[NodeClient], Iterable[str]]) -> list[str]:
    try:
        found = ask(_node(context))
        return sorted(one for one in found if one.startswith(incomplete))[:MOST]
    except (PlantaoError, OSError, LookupError, TypeError):
        return []


def _node(context: typer.Context) -> NodeClient:
    """The node that the command would ask: options are typed already, or as the environment has them."""
    data = _given(context, "data") or _DATA
    key_file, ca = _given(context, "key_file"), _given(context, "ca")
    where = None if key_file is None else Path(key_file), None if ca is None else Path(ca)
    return NodeClient.find(Path(data), _given(context, "url"), *where)


def _given(context: typer.Context, option: str) -> str | None:
    return context.params.get(option) or os.environ.get(f"PLANTAO_{option.upper()}") or None
