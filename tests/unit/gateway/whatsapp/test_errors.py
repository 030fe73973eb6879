"""neonize's error texts: each known one has its code, and no text gives away a number."""

import pytest

from gateway.whatsapp.errors import TABLE, classify, failed, failure, media_failure, scrub
from protocol.codes import ErrorCode

KNOWN = [
    ("client is nil", ErrorCode.NOT_CONNECTED),
    ("the store doesn't contain a device JID", ErrorCode.NOT_CONNECTED),
    ("failed to send message node: websocket not connected", ErrorCode.NOT_CONNECTED),
    ("can't send presence without PushName set", ErrorCode.NOT_CONNECTED),
    ("websocket disconnected before message send returned response", ErrorCode.OUTCOME_UNKNOWN),
    ("websocket disconnected before message send (retry) returned response", ErrorCode.OUTCOME_UNKNOWN),
    (
        "failed to get device list: failed to send usync query: websocket disconnected before info query returned",
        ErrorCode.NOT_CONNECTED,
    ),
    ("failed to get device list: failed to send usync query: info query timed out", ErrorCode.SERVER_ERROR),
    ("info query timed out", ErrorCode.OUTCOME_UNKNOWN),
    ("timed out waiting for message send response", ErrorCode.OUTCOME_UNKNOWN),
    (
        "failed to get user info for 5511988887777@s.whatsapp.net to fill LID cache: failed to send usync query: "
        "info query returned status 429: rate-overlimit",
        ErrorCode.RATE_LIMITED,
    ),
    ("failed to get device list: info query returned status 503: x", ErrorCode.SERVER_ERROR),
    ("failed to get device list: info query returned status 403: forbidden", ErrorCode.REJECTED),
    ("no LID found for 5511988887777@s.whatsapp.net from server", ErrorCode.NOT_ON_WHATSAPP),
    ("message recipient must be a user JID with no device part", ErrorCode.INVALID_RECIPIENT),
    ("can't send message to unknown server foo.bar", ErrorCode.INVALID_RECIPIENT),
    ("sending to non-status broadcast lists is not yet supported", ErrorCode.INVALID_RECIPIENT),
    ("failed to marshal message", ErrorCode.INVALID_RECIPIENT),
    ("failed to get group members: that group does not exist", ErrorCode.GROUP_UNAVAILABLE),
    ("failed to get group members: you're not participating in that group", ErrorCode.GROUP_UNAVAILABLE),
    ("server returned error 400", ErrorCode.REJECTED),
    ("server returned error 403", ErrorCode.REJECTED),
    ("server returned error 420", ErrorCode.RATE_LIMITED),
    ("server returned error 429", ErrorCode.RATE_LIMITED),
    ("server returned error 463", ErrorCode.RESTRICTED),
    ("server returned error 475", ErrorCode.RESTRICTED),
    ("server returned error 479", ErrorCode.SERVER_ERROR),
    ("server returned error 500", ErrorCode.SERVER_ERROR),
    ("failed to create sender key distribution message", ErrorCode.STORE_FAILED),
    ("failed to save cached sessions: database is locked", ErrorCode.STORE_FAILED),
    ("failed to prefetch sessions: disk I/O error", ErrorCode.STORE_FAILED),
    ("phone number too short", ErrorCode.INVALID_RECIPIENT),
    ("international phone number required (must not start with 0)", ErrorCode.INVALID_RECIPIENT),
    ("download failed with status code 404", ErrorCode.MEDIA_INVALID),
    ("hash of media ciphertext doesn't match", ErrorCode.MEDIA_INVALID),
    ("failed to download media from last host: EOF", ErrorCode.MEDIA_UNAVAILABLE),
    ("upload failed with status code 500", ErrorCode.MEDIA_UNAVAILABLE),
    ("something nobody has seen", ErrorCode.INTERNAL),
]


@pytest.mark.parametrize(("text", "code"), KNOWN)
def test_a_known_text_has_its_code(text: str, code: ErrorCode) -> None:
    assert classify(text) is code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("download failed with status code 410", ErrorCode.MEDIA_INVALID),
        ("failed to refresh media connections: info query timed out", ErrorCode.MEDIA_UNAVAILABLE),
        ("failed to refresh media connections: websocket not connected", ErrorCode.NOT_CONNECTED),
        ("something nobody has seen", ErrorCode.MEDIA_UNAVAILABLE),
    ],
)
def test_an_error_about_media_says_nothing_of_a_message(text: str, code: ErrorCode) -> None:
    assert media_failure(text).code == code.value


def test_every_row_of_the_table_is_reached_by_a_known_text() -> None:
    assert {code for _, code in TABLE} <= {code for _, code in KNOWN}


def test_an_answer_masks_whom_it_is_about() -> None:
    answer = failure("no LID found for 5511988887777@s.whatsapp.net from server")
    assert answer.code == "not_on_whatsapp"
    assert "55119888" not in answer.message
    assert answer.message.startswith("no LID found for ****")


def test_a_text_is_one_bounded_line() -> None:
    assert scrub("a\n  b\tc") == "a b c"
    assert len(failed(ErrorCode.INTERNAL, "x" * 5000).message) == 200
