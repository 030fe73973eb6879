"""Under which names a person appears: JIDs by number and by LID, and whether something is about them. Pure."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from protocol.errors import InvalidAddressError, InvalidInputError
from protocol.ids import Address

_BY_NUMBER: Final = "s.whatsapp.net"
_MOBILE: Final = re.compile(r"(55[1-9][0-9])(9?)([6-9][0-9]{7})")
"""A Brazilian mobile number: since 2016 all have a 9 before the eight digits, and WhatsApp knows many without it."""
_WORDS: Final = frozenset({"text", "caption", "filename", "push_name", "message", "name"})
"""Fields that hold what people write: a number in there is no address."""

FormsOf = Callable[[str, frozenset[str]], Awaitable[frozenset[str]]]
"""Of a clinic and some JIDs: these, and all under which the clinic's channels know the same people. Raises
StoreUnavailableError."""


def parse_person(text: str, field: str = "contact") -> frozenset[str]:
    """The JIDs of the person with this number or JID.

    Raises:
        InvalidAddressError: it is neither.
        InvalidInputError: it is a group's.
    """
    address = Address.parse(text, field)
    if address.server == "g.us":
        raise InvalidInputError(field, "a person's number or JID, not a group's")
    return with_variants([str(address)])


def with_variants(jids: Iterable[str]) -> frozenset[str]:
    """These, and the same Brazilian mobile numbers with and without the ninth digit."""
    found = set(jids)
    for jid in tuple(found):
        user, _, server = jid.partition("@")
        mobile = _MOBILE.fullmatch(user) if server == _BY_NUMBER else None
        if mobile is not None:
            found |= {f"{mobile[1]}{nine}{mobile[3]}@{_BY_NUMBER}" for nine in ("9", "")}
    return frozenset(found)


def is_about(body: Any, jids: frozenset[str]) -> bool:
    """Whether an event or command, as builtins, names one of ``jids`` as an address anywhere."""
    return any(_jid_of(text) in jids for text in _addresses(body))


def objects_of(body: Any) -> Iterator[str]:
    """The media of an inbound message: names in the clinic's Object Store."""
    media = body.get("media") if isinstance(body, Mapping) else None
    name = media.get("object") if isinstance(media, Mapping) else None
    if isinstance(name, str):
        yield name


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in _WORDS:
                yield from _addresses(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _addresses(inner)


def _jid_of(text: str) -> str | None:
    try:
        return str(Address.parse(text))
    except InvalidAddressError:
        return None
