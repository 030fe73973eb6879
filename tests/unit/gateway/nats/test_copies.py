"""What the server answers when a stream is put back: what is worth another try, and what is refused."""

import json

import pytest

from gateway.nats import copies
from protocol.errors import BusUnavailableError, InvalidInputError, PlantaoError


@pytest.mark.parametrize(
    ("code", "err_code", "expected"),
    [
        (503, 10008, BusUnavailableError),  # JetStream system temporarily unavailable
        (503, 10023, InvalidInputError),  # insufficient resources
        (503, 10077, InvalidInputError),  # the stream has no room for the message
        (500, 10047, InvalidInputError),  # insufficient storage resources available
        (500, 10062, InvalidInputError),  # restore failed: what it was sent is no stream
        (400, 10002, InvalidInputError),  # resource limits exceeded for account
    ],
)
def test_only_a_server_that_is_not_ready_is_asked_again(code: int, err_code: int, expected: type[PlantaoError]) -> None:
    said = json.dumps({"error": {"code": code, "err_code": err_code, "description": "why"}}).encode()
    with pytest.raises(expected, match="why"):
        copies._check(said, "putting back the stream send")
