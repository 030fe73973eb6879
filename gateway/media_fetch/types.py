"""What the server of a medium may say that it is. Pure."""

from typing import Final

from gateway.whatsapp.attachment import TYPES, bare_type
from protocol.errors import InvalidInputError

_UNSAID: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""What servers say that do not know."""
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
"""A page that says "log in" or "not found" is no document that anybody meant to send."""


def settle(kind: str, wanted: str | None, said: str) -> str:
    """The type of a medium to be sent as ``kind``, of what the command ``wanted`` and the server ``said``.

    Raises:
        InvalidInputError: they do not go together, or it cannot be sent as that.
    """
    told, asked = bare_type(said), bare_type(wanted or "")
    if told in _UNSAID:
        told = asked or ("application/octet-stream" if kind == "document" else "")
    if asked and told != asked:
        raise InvalidInputError("media.mime", "the type that the server of media.url says")
    allowed = next((types for name, types in TYPES.items() if name == kind), None)
    if allowed is not None and told not in allowed:
        raise InvalidInputError("media.url", f"a medium of type {', '.join(sorted(allowed))}")
    if told in _PAGES:
        raise InvalidInputError("media.url", "a document, not a web page")
    return told
