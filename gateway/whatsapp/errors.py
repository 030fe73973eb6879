"""What neonize's error texts mean, in one table, first match first. whatsmeow has no error codes: its texts are all
there is, so they are read here and nowhere else (of send_message, PairPhone, upload and download)."""

import re
from typing import Final

from protocol.codes import ErrorCode
from protocol.ids import mask
from protocol.port import Failed

_LONGEST: Final = 200

_NOT_SENT_YET: Final = (
    r"^failed to get (?:user info|device list|group members|own ?LID)|^failed to get LID"
    r"|^failed to fetch LID"
)
"""Steps before anything of the message is sent: whatever went wrong in them, nobody has got it."""

TABLE: Final[tuple[tuple[str, ErrorCode], ...]] = (
    (r"client is nil|store doesn't contain a device JID|not logged in", ErrorCode.NOT_CONNECTED),
    (r"websocket not connected|without PushName", ErrorCode.NOT_CONNECTED),
    (r"no LID found for", ErrorCode.NOT_ON_WHATSAPP),
    (r"group does not exist|not participating in that group", ErrorCode.GROUP_UNAVAILABLE),
    (
        r"recipient must be a user JID|unknown server|non-status broadcast|failed to marshal",
        ErrorCode.INVALID_RECIPIENT,
    ),
    (r"phone number too short|international phone number required", ErrorCode.INVALID_RECIPIENT),
    (r"database is locked|database disk image|disk I/O error|readonly database", ErrorCode.STORE_FAILED),
    (r"failed to create sender key|cached sessions|failed to prefetch sessions", ErrorCode.STORE_FAILED),
    (r"server returned error (?:420|429)\b", ErrorCode.RATE_LIMITED),
    (r"server returned error (?:463|475)\b", ErrorCode.RESTRICTED),
    (r"server returned error (?:479|5\d\d)\b", ErrorCode.SERVER_ERROR),
    (r"server returned error 4\d\d\b", ErrorCode.REJECTED),
    (r"info query returned status (?:420|429)\b", ErrorCode.RATE_LIMITED),
    (r"info query returned status 5\d\d\b", ErrorCode.SERVER_ERROR),
    (r"info query returned status 4\d\d\b", ErrorCode.REJECTED),
    (rf"(?:{_NOT_SENT_YET}).*(?:websocket disconnected)", ErrorCode.NOT_CONNECTED),
    (rf"(?:{_NOT_SENT_YET}).*(?:timed out)", ErrorCode.SERVER_ERROR),
    (r"timed out waiting for message send response|info query timed out", ErrorCode.OUTCOME_UNKNOWN),
    (r"websocket disconnected before", ErrorCode.OUTCOME_UNKNOWN),
    (r"status code (?:403|404|410)\b|no url present|unknown media type|nothing downloadable", ErrorCode.MEDIA_INVALID),
    (r"hash of media|sha256|hmac|file length", ErrorCode.MEDIA_INVALID),
    (r"upload|download|media conn", ErrorCode.MEDIA_UNAVAILABLE),
)

_COMPILED: Final = tuple((re.compile(pattern, re.DOTALL | re.IGNORECASE), code) for pattern, code in TABLE)


def classify(text: str) -> ErrorCode:
    """The code for an error text of neonize; ``internal`` for one that nobody has seen yet."""
    return next((code for pattern, code in _COMPILED if pattern.search(text)), ErrorCode.INTERNAL)


def failure(text: str) -> Failed:
    """The answer for an error text of neonize; numbers of people are masked."""
    return failed(classify(text), text)


def media_failure(text: str) -> Failed:
    """The answer for an error text of an upload or a download: it is the media's fault, unless there is no session;
    no message was sent."""
    code = classify(text)
    kept = (ErrorCode.MEDIA_INVALID, ErrorCode.NOT_CONNECTED, ErrorCode.STORE_FAILED)
    return failed(code if code in kept else ErrorCode.MEDIA_UNAVAILABLE, text)


def failed(code: ErrorCode, text: str) -> Failed:
    """The answer for ``code``, with a text for an operator."""
    return Failed(code=code.value, message=scrub(text))


def scrub(text: str) -> str:
    """``text`` on one line, of bounded length, without whole phone numbers: fit for a log."""
    return re.sub(r"\d{7,}", lambda found: mask(found[0]), " ".join(text.split()))[:_LONGEST]
