"""The child: one measurement of actors in a process that has done nothing else.

``python -m tests.bench.actor_process NAME ARGUMENTS``: calls the measurement with the arguments (a JSON object) and
prints what it found, as JSON. Logging is as in a node, into nothing.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from config.log import configure
from config.sections import Log
from tests.bench import actor_messages, actor_restarts, actor_trees

MEASUREMENTS: Final[dict[str, Callable[..., msgspec.Struct]]] = {
    "tells": actor_messages.tells,
    "asks": actor_messages.asks,
    "asks_from_loop": actor_messages.asks_from_loop,
    "restarts": actor_restarts.restarts,
    "tree": actor_trees.tree,
}


def main() -> None:
    """Ends without waiting for actors."""
    name, arguments = sys.argv[1:]
    with Path(os.devnull).open("w") as nowhere:
        configure(Log(format="json"), nowhere)
        sys.excepthook = sys.__excepthook__  # what fails here is to be seen
        print(msgspec.json.encode(MEASUREMENTS[name](**json.loads(arguments))).decode(), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
