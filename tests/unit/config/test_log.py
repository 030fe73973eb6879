import io
import json
import logging
import sys
import threading
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.log import DROPPED, bound, configure, redact, redact_text
from config.sections import Log

NUMBER = "5511987654321"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    before = structlog.get_config()
    handlers, level, hooks = logging.root.handlers[:], logging.root.level, (sys.excepthook, threading.excepthook)
    stream = io.StringIO()
    configure(Log(level="debug"), stream)
    yield stream
    structlog.configure(**before)
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


def last(stream: io.StringIO) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return found


def test_a_line_is_json_with_what_was_bound(lines: io.StringIO) -> None:
    bound(clinic="acme", channel="front", correlation_id="c-1").info("connected", attempt=2)

    line = last(lines)
    assert line | {"timestamp": ""} == {
        "event": "connected",
        "clinic": "acme",
        "channel": "front",
        "correlation_id": "c-1",
        "attempt": 2,
        "level": "info",
        "logger": "plantao",
        "timestamp": "",
    }
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_what_a_supervisor_says_of_a_child_names_its_clinic_and_channel(lines: io.StringIO) -> None:
    logger = structlog.get_logger("supervisor")
    logger.error("child exited", supervisor="channels", child="front", kind="channel", group="acme")
    assert last(lines).items() >= {"clinic": "acme", "channel": "front", "child": "front"}.items()
    logger.error("child exited", supervisor="clinics", child="acme", kind="clinic", group="acme")
    assert last(lines)["clinic"] == "acme"
    assert "channel" not in last(lines)
    logger.error("child exited", supervisor="root", child="bus", kind="bus", group="")
    assert "clinic" not in last(lines)


def test_context_variables_appear_in_every_line(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="c-2"):
        logging.getLogger("nats").warning("slow consumer")

    assert last(lines)["correlation_id"] == "c-2"


@pytest.mark.parametrize("name", ["pykka", "aiohttp.server", "nats.aio.client"])
def test_loggers_of_the_standard_library_take_the_same_way_out(lines: io.StringIO, name: str) -> None:
    logging.getLogger(name).error("cannot send to %s", f"{NUMBER}@s.whatsapp.net", extra={"text": "hello"})

    line = last(lines)
    assert line["logger"] == name
    assert line["event"] == "cannot send to ***********21@s.whatsapp.net"
    assert line["text"] == "[dropped]"


def test_a_traceback_is_masked_too(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"bad number {NUMBER}")
    except ValueError:
        bound().exception("failed", error=ValueError(NUMBER))

    assert "Traceback" in last(lines)["exception"]
    assert NUMBER not in lines.getvalue()


def test_lines_below_the_level_are_left_out(lines: io.StringIO) -> None:
    configure(Log(level="warning"), lines)

    bound().info("quiet")
    logging.getLogger("aiohttp").info("quiet")

    assert lines.getvalue() == ""


def test_the_console_format_is_masked_as_well(lines: io.StringIO) -> None:
    configure(Log(format="console"), lines)

    bound(clinic="acme").info("hello", phone=NUMBER, text="words")

    assert "clinic=acme" in lines.getvalue()
    assert NUMBER not in lines.getvalue()
    assert "words" not in lines.getvalue()


def test_warnings_and_the_death_of_a_thread_are_logged(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old thing", stacklevel=1)
    thread = threading.Thread(target=lambda: int(f"x{NUMBER}"), name="worker")
    thread.start()
    thread.join()

    assert "old thing" in lines.getvalue()
    assert last(lines)["event"] == "a thread died: worker"
    assert NUMBER not in lines.getvalue()


@pytest.mark.parametrize("key", sorted(DROPPED))
def test_secrets_and_words_are_dropped_by_their_key(key: str) -> None:
    assert redact(None, "", {key.title(): "words"}) == {key.title(): "[dropped]"}
    assert redact(None, "", {"error": [{key: "words"}]}) == {"error": [{key: "[dropped]"}]}


@pytest.mark.parametrize(
    ("code", "shown"),
    [("not_connected", "not_connected"), (515, 515), ("2@Ab3,x", "[dropped]"), ("ABCD-1234", "[dropped]")],
)
def test_an_error_code_is_shown_and_a_pairing_code_is_not(code: object, shown: object) -> None:
    assert redact(None, "", {"code": code}) == {"code": shown}


@pytest.mark.parametrize(
    "text",
    [
        NUMBER,
        f"+{NUMBER}",
        "+55 (11) 98765-4321",
        "(11) 98765-4321",
        "11 98765-4321",
        "1198765-4321",
        "123456@g.us9999999",
        "5511987654321abc",
    ],
)
def test_phone_numbers_are_masked_however_they_are_written(text: str) -> None:
    shown = redact_text(f"to {text}.")

    assert sum(character.isdigit() for character in shown) <= 8
    assert "98765" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T12:00:00.123456Z",
        "127.0.0.1:8080",
        "192.168.100.200:65535",
        "attempt 3 of 5",
        "error 401",
        "12 345 ms",
    ],
)
def test_what_is_no_phone_number_is_left_readable(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "id", [str(uuid.UUID(int=12345678901)), "3EB0C431C26A1916E07A", "4bf92f3577b34da6a3ce929d0e0e4736"]
)
def test_ids_that_a_line_is_followed_by_are_left_whole(id: str) -> None:
    assert redact_text(f"message {id} of {NUMBER}") == f"message {id} of ***********21"


def test_keys_and_passwords_are_masked_in_free_text() -> None:
    shown = redact_text("Authorization: Bearer pl_abc-123 at nats://user:hunter2@127.0.0.1:4222, X-API-Key: pl_xyz")

    assert "pl_" not in shown
    assert "hunter2" not in shown
    assert "127.0.0.1:4222" in shown


class Colour(Enum):
    RED = "red"


def test_only_plain_values_are_shown_and_other_objects_by_their_type() -> None:
    class Message:
        def __repr__(self) -> str:
            return "the words of a message"

    now = datetime(2026, 11, 20, tzinfo=UTC)
    shown = redact(
        None,
        "",
        {
            "a": Message(), "b": b"12", "c": Path("/x"), "d": now, "e": Colour.RED, "f": (1, 2.5, None, True),
            "g": uuid.UUID(int=0), "h": int(NUMBER), "i": 4_194_304,
        },
    )  # fmt: skip

    assert shown == {
        "a": "<Message>", "b": "<2 bytes>", "c": "/x", "d": "2026-11-20T00:00:00+00:00", "e": "red",
        "f": [1, 2.5, None, True], "g": "00000000-0000-0000-0000-000000000000", "h": "***********21", "i": 4_194_304,
    }  # fmt: skip


def test_a_structure_without_end_is_cut() -> None:
    loop: list[Any] = []
    loop.append(loop)

    assert "<list>" in str(redact(None, "", {"a": loop}))


@given(st.text(alphabet="0123456789 +-()@.xyz", max_size=40))
def test_no_seven_digits_in_a_row_ever_pass(text: str) -> None:
    shown = redact_text(text)

    assert "7654321" not in redact_text(text + "7654321")
    assert not any(shown[i : i + 7].isdecimal() for i in range(len(shown)) if len(shown[i : i + 7]) == 7)


def test_without_a_terminal_the_default_format_is_json(lines: io.StringIO) -> None:
    configure(Log(), lines)
    logging.getLogger("plantao").info("hello")
    assert json.loads(lines.getvalue())["event"] == "hello"


def test_nothing_that_moves_a_terminal_reaches_a_log() -> None:
    said = redact_text("a\x1b[2J\x07\x9b1;1H\x00\r b\n\tc")
    assert said == "a\ufffd[2J\ufffd\ufffd1;1H\ufffd\ufffd b\n\tc"
