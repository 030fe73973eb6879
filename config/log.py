"""Logging: JSON lines on stderr that name no person.

``structlog`` and the standard library's loggers (pykka's, aiohttp's, nats-py's) take the same way out: ``redact`` is
the last processor before the renderer, so nothing passes it by. What it knows to be secret or personal by its key is
dropped; phone numbers, bearer keys and passwords in URLs are masked wherever they stand; objects it does not know
appear as the name of their type only, since a repr could hold a message's text.
"""

import logging
import os
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO
from uuid import UUID

import structlog

from config.sections import Log
from protocol.ids import mask

DROPPED: Final = frozenset(
    {
        "admin_key", "api_key", "authorization", "body", "caption", "command", "cookie", "credentials", "data",
        "headers", "key", "media", "meta", "pairing_code", "passphrase", "password", "profile_name", "push_name", "qr",
        "reference", "secret", "seed", "text", "token", "x-api-key",
    }
)  # fmt: skip
"""Keys whose values never reach a log: secrets, and the words and names of people."""

FIELDS: Final[Mapping[str, str]] = {
    "account": "The NATS account: clinic-<id>, platform, or the node's own",
    "action": "What was to stand in the audit",
    "actor": "The class of the actor",
    "announced": "Messages that WhatsApp said to have for us after the gap",
    "arrived": "Messages that came of them",
    "attempt": "Ports lost since the last connection",
    "attempts": "Tries of the command that count, this run's",
    "before": "The number that was connected before, all but its last digits masked",
    "calls": "Sends in the breaker's window",
    "changed": "The settings that were changed and are in force",
    "channel": "The channel",
    "child": "The supervisor's child, by its id",
    "clean": "Whether the session was to be sealed after an orderly end",
    "clinic": "The clinic",
    "code": "What went wrong, as whoever asked is told it",
    "consumer": "The JetStream consumer",
    "correlation_id": "What whoever began it calls it: from the command's or request's header Plantao-Correlation-Id",
    "count": "How many",
    "cpus": "The CPUs that threads were to be bound to",
    "deadline_s": "The seconds that there were",
    "delay_s": "Seconds until it is started again",
    "error": "What went wrong, in words",
    "error_code": "What went wrong, as results say it",
    "event": "What happened",
    "exception": "Where in the program it happened",
    "expected": "Whether the port was asked to end",
    "failure_rate": "Of the breaker's window, 0 to 1",
    "failures": "How often in a row by now",
    "fields": "What of the stream's configuration was changed",
    "file": "The file that was written",
    "for_s": "Seconds since it began with what it is at",
    "hash": "The seal of the audit's last entry",
    "id": "The command, or the id of the key",
    "incident": "The number that whoever asked was given for it",
    "kind": "The kind of child, or of event",
    "level": "debug, info, warning, error or critical",
    "logger": "The module that says it",
    "lost": "Messages that are lost, which the gap report names",
    "meaning": "What follows from it",
    "message": "The class of the message",
    "opened": "How often the breaker has opened",
    "owner": "Whose key it is",
    "phone": "The number that is connected, all but its last digits masked",
    "pid": "The OS process",
    "port": "The TCP port",
    "previous": "The state before this one",
    "reason": "Why",
    "record": "The record of the registry",
    "release_in_s": "Seconds until it is let out of quarantine; none: a person has to",
    "removed": "The backups that made place",
    "request": "The class of the request",
    "restart": "The settings that take a restart",
    "retry_in_s": "Seconds until it is tried again",
    "run": "Of the command: replays and releases count it up",
    "runtime": "The runtime directory",
    "seq": "The number of the audit's last entry",
    "service": "The part of the node",
    "since": "When the gap began",
    "signal": "The signal that came",
    "source": "Where the key comes from",
    "state": "The state of the channel, or of the breaker",
    "status": "How the command ended, as results say it",
    "stream": "The JetStream stream",
    "subject": "The NATS subject",
    "supervisor": "The supervisor, by its id",
    "task": "What was being done",
    "timestamp": "When, in UTC",
    "type": "The type of the message",
    "undecryptable": "Messages that could not be decrypted",
    "until": "Until when",
    "verb": "What was asked for over NATS",
    "version": "Of the snapshot",
    "wa_id": "WhatsApp's id of the message",
    "waiting": "How many wait",
}
"""Every field that a line can have, and what it says; a test holds the program to it."""

_CODE: Final = re.compile(r"[a-z][a-z_]{0,39}\Z")
_PHONE: Final = re.compile(
    r"""
    [0-9]{7,}                                                       # digits in a row: E.164, and the user of a JID
    | \+[0-9][0-9 ().-]{5,}[0-9]                                    # +55 (11) 98765-4321
    | (?<![0-9.:-])\(?[0-9]{2,3}\)?[ -]?[0-9]{4,5}[ -][0-9]{4}(?![0-9]|[.:-][0-9])   # (11) 98765-4321
    """,
    re.VERBOSE,
)
_OPAQUE: Final = re.compile(
    r"\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]{0,9}[a-f])[0-9a-f]{16,64})\b", re.IGNORECASE
)
"""UUIDs, trace ids and WhatsApp message ids: digits in them are no number, and without them no line can be followed.
What begins with ten digits may be a number that somebody made an id of."""
_BEARER: Final = re.compile(r"(?i)\b(bearer|x-api-key:?)\s+[^\s'\"]+")
_CONTROLS: Final = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "�")
"""All but tabs and line ends, which tracebacks have."""
_USERINFO: Final = re.compile(r"://[^/\s@]+@")
_DEPTH: Final = 6
_LONGEST_NUMBER: Final = 999_999_999
"""Larger whole numbers may be phone numbers."""


def configure(log: Log, stream: TextIO | None = None) -> None:
    """Send all logging of this process to ``stream`` (stderr) at the level and in the format of ``log``.

    Also what kills a thread or the process is then said through it. May be called again; the last call holds.
    """
    out = sys.stderr if stream is None else stream
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        name_clinic,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                _renderer(log, out),
            ],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(log.level.upper())
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    sys.excepthook = _say_process_died
    threading.excepthook = _say_thread_died


def bound(**fields: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines all carry ``fields``: ``clinic``, ``channel``, ``correlation_id``, or others."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("plantao").bind(**fields)
    return logger


def name_clinic(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: what a supervisor says of a child in our own words: its group is a clinic, its id may be a channel."""
    if "group" in event and "kind" in event:
        clinic = event.pop("group")
        if clinic:
            event["clinic"] = clinic
        if event["kind"] == "channel":
            event["channel"] = event.get("child")
    return event


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: ``event`` without secrets and personal data, in builtins only."""
    return {key: value if key == "timestamp" else _safe(key, value, 0) for key, value in event.items()}


def redact_text(text: str) -> str:
    """``text`` with phone numbers, bearer keys and passwords in URLs masked, and without what would move a terminal."""
    text = text.translate(_CONTROLS)
    text = _BEARER.sub(r"\1 ***", _USERINFO.sub("://***@", text))
    shown, end = [], 0
    for opaque in _OPAQUE.finditer(text):
        shown += [_PHONE.sub(_masked, text[end : opaque.start()]), opaque[0]]
        end = opaque.end()
    return "".join(shown) + _PHONE.sub(_masked, text[end:])


def _masked(found: re.Match[str]) -> str:
    """A number, however it is written, with all digits but the last two masked."""
    number = found[0]
    if number.isdigit():
        return mask(number)
    last = [index for index, character in enumerate(number) if character.isdigit()][-2:]
    return "".join("*" if c.isdigit() and index not in last else c for index, c in enumerate(number))


def _safe(key: str, value: Any, depth: int) -> Any:
    name = key.lower()
    if name in DROPPED or (name == "code" and not _is_code(value)):
        return "[dropped]"
    match value:
        case None | bool() | float():
            return value
        case Enum():
            return _safe(key, value.value, depth)
        case int():
            return value if abs(value) <= _LONGEST_NUMBER else mask(str(value))
        case str():
            return redact_text(value)
        case Path() | UUID() | BaseException():
            return redact_text(str(value))
        case datetime():
            return value.isoformat()
        case bytes() | bytearray():
            return f"<{len(value)} bytes>"
        case _:
            return _safe_collection(value, depth)


def _safe_collection(value: Any, depth: int) -> Any:
    if depth < _DEPTH and isinstance(value, Mapping):
        return {redact_text(str(key)): _safe(str(key), inner, depth + 1) for key, inner in value.items()}
    if depth < _DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_safe("", inner, depth + 1) for inner in value]
    return f"<{type(value).__name__}>"


def _is_code(value: Any) -> bool:
    """An error code or a number, as against a QR or pairing code, which also go by that name."""
    return isinstance(value, int) or (isinstance(value, str) and _CODE.match(value) is not None)


def _renderer(log: Log, out: TextIO) -> Any:
    if log.format == "json" or (log.format == "auto" and not out.isatty()):
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=out.isatty() and "NO_COLOR" not in os.environ)


def _say_process_died(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("plantao").critical("the process died", exc_info=(kind, error, trace))


def _say_thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else "unknown"
        logging.getLogger("plantao").critical(
            "a thread died: %s", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
        )
