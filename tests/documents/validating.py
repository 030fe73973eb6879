"""Bodies held against the AsyncAPI document: what is seen on a subject must be what the document says of it."""

import re
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, FormatChecker

from protocol.codec import decode_raw


def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time", raises=ValueError)(_is_moment)


class Contract:
    """Reads ``document``. Stricter than it: a field that it does not name is a fault."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._whole = deepcopy(document)
        for schema in self._whole["components"]["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False

    def messages(self, subject: str) -> Sequence[str]:
        """The messages that may pass on ``subject``; AssertionError if the document has no such subject."""
        for channel in self._document["channels"].values():
            if channel["address"] and re.fullmatch(re.sub(r"\{\w+\}", "[^.]+", channel["address"]), subject):
                return list(channel["messages"])
        raise AssertionError(f"the document has no subject {subject}")

    def replies(self, subject: str) -> Sequence[str]:
        """The messages with which a request on ``subject`` may be answered."""
        body = self.messages(subject)
        for operation in self._document["operations"].values():
            channel = self._document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
            if re.fullmatch(re.sub(r"\{\w+\}", "[^.]+", channel["address"]), subject):
                return [one["$ref"].rpartition("/")[2] for one in operation["reply"]["messages"]]
        raise AssertionError(f"nobody answers {body} on {subject}")

    def faults(self, message: str, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> list[str]:
        """What is wrong with ``body`` (as it was sent, or read already) and its headers as a ``message``."""
        described = self._document["components"]["messages"][message]
        found = self._wrong(described["payload"], _as_json(body))
        if headers is not None:
            found += self._wrong(described["headers"], headers)
        return found

    def _wrong(self, schema: dict[str, Any], value: Any) -> list[str]:
        whole = {**schema, "components": self._whole["components"]}
        validator = Draft202012Validator(whole, format_checker=_FORMATS)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def _as_json(body: bytes | dict[str, Any]) -> Any:
    """As it would be in JSON: bytes are base64."""
    return msgspec.to_builtins(decode_raw(body) if isinstance(body, bytes) else body)
