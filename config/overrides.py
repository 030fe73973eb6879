"""Whether what is to be a channel's own settings can be (see ``config.own``)."""

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from config.own import ChannelConfig
from protocol.codec import Encoding, decode, encode
from protocol.errors import InvalidBodyError, InvalidInputError

MOST_BYTES: Final = 4096
"""Of a channel's settings as JSON."""


def check(config: Mapping[str, Any], kind: type[Struct] = ChannelConfig) -> None:
    """Whether ``config`` can be a channel's own settings.

    Raises:
        InvalidInputError: a setting is unknown, or its value is not what it should be; names it.
    """
    _check_names(config, kind, "config")
    try:
        decode(encode(dict(config), Encoding.JSON), kind, limit=MOST_BYTES)
    except InvalidBodyError as error:
        field = "config" if error.field == "body" else f"config.{error.field}"
        raise InvalidInputError(field, error.expected) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError("config", "JSON's types") from error


def _check_names(config: Mapping[str, Any], kind: type[Struct], path: str) -> None:
    """Unknown names are refused: a setting that is ignored would be taken for one that holds."""
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in config.items():
        if name not in known:
            raise InvalidInputError(f"{path}.{name}", f"a known setting, one of {', '.join(known)}")
        inner = _struct_in(known[name])
        if inner is not None and isinstance(value, Mapping):
            _check_names(value, inner, f"{path}.{name}")


def _struct_in(kind: Any) -> type[Struct] | None:
    found = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, Struct)]
    return found[0] if found else None
