"""``plantao ready``: whether the node works, as an exit code, for what watches over processes."""

from typing import Annotated, Any

import typer

from config.cli.asking import Asking
from config.cli.output import FAILED

LiveOption = Annotated[bool, typer.Option("--live", help="Only whether it answers, however its parts are.")]


def ready(asking: Asking, live: LiveOption = False) -> None:
    """Say whether the node works: exit code 0 if all its parts do and it is not about to end, else 1."""
    said = asking.node.ready()
    asking.out.say(_told(said), said)
    if not (live or said["ready"]):
        raise typer.Exit(FAILED)


def _told(said: dict[str, Any]) -> str:
    """In a sentence."""
    if said["ready"]:
        return "The node is ready."
    if said.get("draining"):
        return "The node is not ready: it drains, and then ends."
    away = [name for name, part in said.items() if isinstance(part, dict) and part.get("ok") is False]
    reasons = [f"{name} ({said[name]['reason']})" if said[name].get("reason") else name for name in away]
    return f"The node is not ready: {'; '.join(reasons) or 'it is starting'}."
