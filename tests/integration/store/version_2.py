"""A clinic's file as the last version left it that kept it in clear, with every kind of row."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.store.rows import micros, pack
from gateway.store.schema import load_migrations, micros_of, migrate, packed
from tests.integration.store import version_1
from tests.integration.store.samples import CHANNEL, JID, NOW, PHONE, SECRET, message

KEY = f"{CHANNEL}.{JID}.WAX"


def write(file: Path) -> None:
    """Make the file out of one of version 1, in write-ahead mode as it was, with words in its log and in free pages."""
    version_1.write(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrate(connection, load_migrations()[:2], {"packed": packed, "micros": micros_of})
        connection.execute("UPDATE commands SET secret = ?, wa_id = 'WA9' WHERE id = 'in_flight'", (SECRET,))
        connection.execute(
            "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, ?, 0, 1)", (CHANNEL, JID, *[micros(NOW)] * 3)
        )
        connection.execute(
            "INSERT INTO channels VALUES (?, ?, 7, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET traced = 7, phone = excluded.phone, jid = excluded.jid, phone_at = excluded.phone_at",
            (CHANNEL, micros(NOW), micros(NOW), PHONE, f"{PHONE}:3@s.whatsapp.net", micros(NOW)),
        )
        for seq, key in enumerate([KEY, f"{KEY}2"], start=1):
            connection.execute("INSERT INTO claims VALUES (?, ?, ?, ?)", (seq, CHANNEL, key, micros(NOW)))
            what = pack(message("WAX", "Não posso ir"))
            connection.execute("INSERT INTO spool VALUES (?, ?, ?, ?)", (seq, CHANNEL, len(what), what))
            connection.execute("UPDATE spool_size SET bytes = bytes + ?", (len(what),))
        connection.execute("DELETE FROM spool WHERE seq = 2")
