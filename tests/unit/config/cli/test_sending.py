from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.cli.sending import Times, content, linked
from protocol.codec import Encoding, encode
from protocol.commands import MAX_INLINE_MEDIA, parse
from protocol.errors import InvalidInputError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEAD = {"v": 1, "id": "a", "to": "5511912345678"}


def file(tmp_path: Path, name: str, size: int = 4) -> Path:
    path = tmp_path / name
    path.write_bytes(bytes(size))
    return path


@pytest.mark.parametrize(
    ("kind", "name", "options", "media"),
    [
        ("image", "exame.png", {}, {"mime": "image/png"}),
        ("image", "exame.JPG", {"caption": "Exame"}, {"mime": "image/jpeg", "caption": "Exame"}),
        ("audio", "recado.ogg", {"voice": True}, {"mime": "audio/ogg", "voice": True}),
        ("video", "exame.mp4", {}, {"mime": "video/mp4"}),
        ("document", "exame.pdf", {}, {"mime": "application/pdf", "filename": "exame.pdf"}),
        ("document", "exame", {}, {"mime": "application/octet-stream", "filename": "exame"}),
    ],
)
def test_a_file_becomes_media_that_a_node_takes(
    tmp_path: Path, kind: str, name: str, options: dict[str, Any], media: dict[str, Any]
) -> None:
    made = content(None, {kind: file(tmp_path, name)}, options.get("caption"), options.get("voice", False))

    assert made == {"type": kind, "media": {"data": "AAAAAA==", **media}}
    assert parse(encode({**HEAD, **made}, Encoding.JSON)).type == kind


def test_a_medium_on_the_web_is_named_and_a_document_called_as_there() -> None:
    made = linked("https://a.example/x/exame%201.pdf?k=1", "document", "O exame", False)
    assert made["media"] == {
        "url": "https://a.example/x/exame%201.pdf?k=1",
        "filename": "exame 1.pdf",
        "caption": "O exame",
    }
    assert parse(encode({**HEAD, **made}, Encoding.JSON)).type == "document"
    with pytest.raises(InvalidInputError, match="--as"):
        linked("https://a.example/x", None, None, False)


def test_words_are_a_text() -> None:
    assert content("Olá", {"image": None}, None, False) == {"type": "text", "text": "Olá"}


@pytest.mark.parametrize(
    ("text", "files", "caption", "voice", "field"),
    [
        (None, {}, None, False, "--text"),
        ("x", {"image": "a.png"}, None, False, "--text"),
        (None, {"image": "a.png", "video": "a.mp4"}, None, False, "--text"),
        ("x", {}, "y", False, "--caption"),
        (None, {"audio": "a.ogg"}, "y", False, "--caption"),
        (None, {"video": "a.mp4"}, None, True, "--voice"),
        ("x", {}, None, True, "--voice"),
        (None, {"image": "a.mp4"}, None, False, "--image"),
        (None, {"audio": "a.png"}, None, False, "--audio"),
        (None, {"video": "a"}, None, False, "--video"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, text: str | None, files: dict[str, str], caption: str | None, voice: bool, field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        content(text, {kind: file(tmp_path, name) for kind, name in files.items()}, caption, voice)
    assert caught.value.field == field


@pytest.mark.parametrize("size", [0, MAX_INLINE_MEDIA + 1])
def test_a_file_has_a_size_that_can_be_sent(tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidInputError, match=f"1 to {MAX_INLINE_MEDIA} bytes, got {size}"):
        content(None, {"document": file(tmp_path, "a.pdf", size)}, None, False)


def test_times_stand_in_the_command_as_the_contract_has_them() -> None:
    times = Times("+1h", None, "2026-11-20T18:00:00Z").fields(NOW)
    assert times == {"not_before": "2026-11-20T13:00:00Z", "deliver_by": "2026-11-20T18:00:00Z"}
    with pytest.raises(InvalidInputError) as caught:
        Times(None, "soon", None).fields(NOW)
    assert caught.value.field == "--expires"
