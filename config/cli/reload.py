"""``plantao reload``: the settings read again by the running node."""

from config.cli.asking import Asking


def reload(asking: Asking) -> None:
    """Have the running node read its settings again, and say which hold now and which take a restart."""
    came = asking.node.post("reload")
    changed, restart = came["changed"], came["restart"]
    said = f"In force: {', '.join(changed)}." if changed else "Nothing that can change at run time is different."
    if restart:
        said += f"\nThese differ and take a restart: {', '.join(restart)}."
    asking.out.say(said, came)
