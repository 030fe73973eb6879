"""The headers of messages on NATS, as JSON Schema: they are in no type."""

from typing import Final

from protocol import subjects
from protocol.codec import Encoding

CAUSE: Final = {
    subjects.HEADER_CORRELATION: {
        "type": "string",
        "maxLength": 1024,
        "description": "Goes from a command to everything it causes",
    },
    subjects.HEADER_TRACE: {
        "type": "string",
        "maxLength": 1024,
        "description": "W3C Trace Context; passed on likewise",
    },
}
COMMANDED: Final = {"type": "object", "properties": CAUSE}
"""Of a send command; none is needed."""
_TYPE: Final = {"type": "string", "enum": [encoding.content_type for encoding in Encoding]}
STORED: Final = {
    "type": "object",
    "required": [subjects.HEADER_MESSAGE_ID, subjects.HEADER_CONTENT_TYPE],
    "properties": {
        subjects.HEADER_MESSAGE_ID: {"type": "string", "description": "The same if it is published twice"},
        subjects.HEADER_CONTENT_TYPE: _TYPE,
        **CAUSE,
    },
}
"""Of events and dead letters."""
REFUSED: Final = {
    "type": "object",
    "required": ["Nats-Service-Error", "Nats-Service-Error-Code", subjects.HEADER_CONTENT_TYPE],
    "properties": {
        "Nats-Service-Error": {"type": "string", "description": "The words of `error.message`"},
        "Nats-Service-Error-Code": {"type": "string", "pattern": "^[45][0-9]{2}$", "description": "As in HTTP"},
        subjects.HEADER_CONTENT_TYPE: _TYPE,
    },
}
"""Of a refusal."""
ASKED: Final = {
    "type": "object",
    "properties": {
        subjects.HEADER_CORRELATION: {
            "type": "string",
            "maxLength": 1024,
            "description": "Stands in the log beside what is done",
        }
    },
}
"""Of a request; none is needed."""
REPLY: Final = {
    "type": "object",
    "required": [subjects.HEADER_CONTENT_TYPE],
    "properties": {subjects.HEADER_CONTENT_TYPE: _TYPE},
}
"""Of an answer."""
