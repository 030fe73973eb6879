"""Settings that a bench or a storm wants, as far as this version of the node has them."""

from collections.abc import Mapping
from typing import Any

from config.sections import Settings

Tables = Mapping[str, Mapping[str, Any]]


def known(tables: Tables) -> dict[str, dict[str, Any]]:
    """Those of ``tables`` that there are settings for."""
    return {
        name: {field: value for field, value in tables[name].items() if field in kind.__struct_fields__}
        for name, kind in Settings.__annotations__.items()
        if name in tables
    }
