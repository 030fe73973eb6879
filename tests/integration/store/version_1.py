"""A clinic's file as the first version of Plantão left it, with every kind of row."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import structs

from gateway.store.rows import content_of, micros
from gateway.store.schema import load_migrations, migrate
from protocol.codec import encode
from protocol.codes import ErrorCode
from protocol.events import ResultEvent
from tests.integration.store.samples import CHANNEL, HEADERS, NOW, failed, offer, sent

OFFERS = {
    "waiting": offer("waiting", "Olá", meta={"visit": 7}, expires_at=NOW),
    "in_flight": offer("in_flight", on_uncertain="hold"),
    "sent": offer("sent", to="+5511987654321", meta={"status": "failed"}),
    "group": offer("group", to="5511-9@g.us"),
    "failed": offer("failed", to="77@lid", meta={"status": "sent"}),
    "refused": offer("refused"),
    "expired": offer("expired"),
    "held": offer("held"),
}
RESULTS = {
    "sent": sent("sent", "WA1", meta={"status": "failed"}),
    "group": sent("group", "WA2"),
    "failed": failed("failed", attempts=3, meta={"status": "sent"}),
    "refused": failed("refused", ErrorCode.UNSUPPORTED, attempts=0),
    "expired": structs.replace(failed("expired", ErrorCode.EXPIRED, attempts=0), status="expired"),
    "held": structs.replace(failed("held", ErrorCode.OUTCOME_UNKNOWN, attempts=1), status="held", wa_id="WA3"),
}
PUBLISHED = {"sent", "refused"}


def write(file: Path) -> None:
    """Make the file, in write-ahead mode as it was."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrate(connection, load_migrations()[:1], {})
        connection.execute("PRAGMA journal_mode = WAL")
        for seq, key in enumerate(OFFERS, start=1):
            _insert(connection, seq, key)


def _insert(connection: sqlite3.Connection, seq: int, key: str) -> None:
    given, result = OFFERS[key], RESULTS.get(key)
    row: dict[str, Any] = {
        "seq": seq,
        "channel": CHANNEL,
        "id": key,
        "run": 1,
        "content": content_of(given.command),
        "priority": given.priority.value,
        "queued_at": micros(given.queued_at),
        "attempts": 0 if key == "waiting" else 1,
        "state": "final" if result else key,
        "headers": encode(HEADERS),
        "body": encode(given.command),
    }
    connection.execute(f"INSERT INTO commands ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})", row)
    if result is not None:
        _insert_result(connection, seq, key, result)


def _insert_result(connection: sqlite3.Connection, command: int, key: str, result: ResultEvent) -> None:
    connection.execute(
        "INSERT INTO results (command, run, wa_id, published, event) VALUES (?, ?, ?, ?, ?)",
        (command, result.run, result.wa_id, key in PUBLISHED, encode(result)),
    )
