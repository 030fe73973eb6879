import pytest

from gateway.media_fetch.types import settle
from protocol.errors import InvalidInputError


@pytest.mark.parametrize(
    ("kind", "wanted", "said", "settled"),
    [
        ("image", None, "image/PNG; charset=x", "image/png"),
        ("image", "image/png", "image/png", "image/png"),
        ("image", "image/png", "application/octet-stream", "image/png"),
        ("document", None, "", "application/octet-stream"),
        ("document", None, "application/pdf", "application/pdf"),
        ("document", "application/pdf", "binary/octet-stream", "application/pdf"),
    ],
)
def test_the_type_is_what_command_and_server_agree_on(kind: str, wanted: str | None, said: str, settled: str) -> None:
    assert settle(kind, wanted, said) == settled


@pytest.mark.parametrize(
    ("kind", "wanted", "said"),
    [
        ("image", None, "text/html"),
        ("image", None, ""),
        ("image", None, "application/octet-stream"),
        ("image", "image/png", "image/jpeg"),
        ("image", None, "image/svg+xml"),
        ("audio", None, "video/mp4"),
        ("document", None, "text/html; charset=utf-8"),
        ("document", "application/pdf", "application/json"),
    ],
)
def test_another_type_is_refused(kind: str, wanted: str | None, said: str) -> None:
    with pytest.raises(InvalidInputError):
        settle(kind, wanted, said)
