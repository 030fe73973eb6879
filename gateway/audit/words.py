"""What may stand in an entry: identifiers, and details that are too narrow for a name, a text, a key or a number."""

import json
import re
from collections.abc import Mapping
from typing import Final

from protocol.ids import check_name

MOST_DETAILS: Final = 8

_WHO: Final = re.compile(r"[a-z0-9][a-z0-9:_-]{0,63}\Z")
_ACTION: Final = re.compile(r"[a-z][a-z_]{0,31}(\.[a-z][a-z_]{0,31}){1,3}\Z")
_OUTCOME: Final = frozenset({"asked", "done", "refused", "failed"})
_NAME: Final = re.compile(r"[a-z][a-z_]{0,31}\Z")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9_.:/-]{0,63}\Z")
_RANDOM: Final = re.compile(r"[0-9a-f]{16}([0-9a-f]{16}([0-9a-f]{32})?)?\Z")
"""An id or a hash of ours: 64, 128 or 256 bits."""
_PHONE: Final = re.compile(r"[0-9]([.:/-]?[0-9]){6,}")
"""Seven digits, whatever stands between them."""
_ADDRESS: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}\Z|[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(/[0-9]{1,3})?\Z")
"""Of a machine."""


def check(who: str, action: str, outcome: str, clinic: str | None, channel: str | None) -> None:
    """Raises ValueError: a word that is none of ours, which is a mistake in the program; InvalidIdError."""
    if not _WHO.match(who):
        raise ValueError("who is not the id of a caller")
    if not _ACTION.match(action):
        raise ValueError("an action is such as channel.connect")
    if outcome not in _OUTCOME:
        raise ValueError(f"an outcome is one of {sorted(_OUTCOME)}")
    if clinic is not None:
        check_name("clinic", clinic)
    if channel is not None:
        check_name("channel", channel)


def detail_text(detail: Mapping[str, str] | None) -> str:
    """The details as they are stored. Raises ValueError, which names what is not fit to be there and never its value:
    a mistake in the program."""
    given = detail or {}
    if len(given) > MOST_DETAILS:
        raise ValueError(f"at most {MOST_DETAILS} details, got {len(given)}")
    for name, value in given.items():
        if not _NAME.match(name):
            raise ValueError("a detail has a name of a-z and _")
        if not _fit(value):
            raise ValueError(f"detail {name} may hold a person's name or number, or is no short word")
    return json.dumps(dict(sorted(given.items())), separators=(",", ":"))


def _fit(value: str) -> bool:
    if not _WORD.match(value) and not _ADDRESS.match(value):
        return False
    return bool(_RANDOM.match(value) or _ADDRESS.match(value) or not _PHONE.search(value))
