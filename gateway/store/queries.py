"""The statements of ``queries.sql``, each a field under its name."""

import re
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """One SQL statement per field; what each does is said in the file."""

    select_known: str
    insert_command: str
    select_unfinished: str
    begin_attempt: str
    clear_attempt: str
    finish_command: str
    insert_result: str
    select_unpublished: str
    mark_published: str
    select_senders: str


def split_named(text: str) -> dict[str, str]:
    """The parts of ``text`` that begin with a line ``-- name: <name>``, without that line.

    Raises:
        ValueError: two parts have the same name.
    """
    _, *found = _NAME.split(text)
    names, bodies = found[::2], found[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"a name is given twice: {sorted(names)}")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}


@cache
def load_queries() -> Queries:
    """The file, read once.

    Raises:
        ValueError: the file and the fields of ``Queries`` do not say the same names.
    """
    named = split_named((files("gateway.store") / "queries.sql").read_text(encoding="utf-8"))
    wanted = {field.name for field in fields(Queries)}
    if named.keys() != wanted:
        raise ValueError(f"queries.sql and Queries differ in {sorted(named.keys() ^ wanted)}")
    return Queries(**named)
