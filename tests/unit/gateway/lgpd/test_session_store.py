import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.lgpd import session_store
from gateway.whatsapp import lock
from gateway.whatsapp.frames import Holder
from protocol.errors import StoreUnavailableError

OURS = "5511999990001:1@s.whatsapp.net"
ANA, ANA_LID = "5511988880001", "775511988880001"
BIA, BIA_LID = "5511988880002", "775511988880002"
JIDS = frozenset({f"{ANA}@s.whatsapp.net", f"{ANA_LID}@lid"})

_SCHEMA = """
CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, noise_key bytea);
CREATE TABLE whatsmeow_identity_keys (our_jid TEXT, their_id TEXT, identity bytea);
CREATE TABLE whatsmeow_sessions (our_jid TEXT, their_id TEXT, session bytea);
CREATE TABLE whatsmeow_sender_keys (our_jid TEXT, chat_id TEXT, sender_id TEXT, sender_key bytea);
CREATE TABLE whatsmeow_contacts (
    our_jid TEXT, their_jid TEXT, first_name TEXT, full_name TEXT, push_name TEXT, business_name TEXT);
CREATE TABLE whatsmeow_chat_settings (our_jid TEXT, chat_jid TEXT);
CREATE TABLE whatsmeow_message_secrets (our_jid TEXT, chat_jid TEXT, sender_jid TEXT, message_id TEXT, key bytea);
CREATE TABLE whatsmeow_privacy_tokens (our_jid TEXT, their_jid TEXT, token bytea);
CREATE TABLE whatsmeow_retry_buffer (our_jid TEXT, chat_jid TEXT, plaintext bytea);
CREATE TABLE whatsmeow_lid_map (lid TEXT PRIMARY KEY, pn TEXT);
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that knows two people, each by number and by LID."""
    path = tmp_path / "reception.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO whatsmeow_device VALUES (?, ?)", (OURS, b"n" * 32))
        for number, lid in ((ANA, ANA_LID), (BIA, BIA_LID)):
            jid, by_lid = f"{number}@s.whatsapp.net", f"{lid}@lid"
            for address in (f"{number}:0", f"{lid}_1:0", f"{lid}_1:3"):
                database.execute("INSERT INTO whatsmeow_identity_keys VALUES (?, ?, 'i')", (OURS, address))
                database.execute("INSERT INTO whatsmeow_sessions VALUES (?, ?, 's')", (OURS, address))
            database.execute(
                "INSERT INTO whatsmeow_sender_keys VALUES (?, '5511-1@g.us', ?, 'k')", (OURS, f"{lid}_1:0")
            )
            for one in (jid, by_lid):
                database.execute("INSERT INTO whatsmeow_contacts VALUES (?, ?, '', '', 'Name', '')", (OURS, one))
            database.execute("INSERT INTO whatsmeow_chat_settings VALUES (?, ?)", (OURS, jid))
            database.execute("INSERT INTO whatsmeow_message_secrets VALUES (?, ?, ?, 'm', 'k')", (OURS, by_lid, OURS))
            database.execute(
                "INSERT INTO whatsmeow_message_secrets VALUES (?, '5511-1@g.us', ?, 'm', 'k')", (OURS, f"{lid}:2@lid")
            )
            database.execute("INSERT INTO whatsmeow_privacy_tokens VALUES (?, ?, 't')", (OURS, by_lid))
            database.execute("INSERT INTO whatsmeow_retry_buffer VALUES (?, ?, 'words')", (OURS, by_lid))
            database.execute("INSERT INTO whatsmeow_lid_map VALUES (?, ?)", (lid, number))
        database.commit()
    return path


def rows_with(store: Path, word: str) -> int:
    count = 0
    with closing(sqlite3.connect(store)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            rows = database.execute(f"SELECT * FROM {table}").fetchall()
            count += sum(any(isinstance(cell, str) and word in cell for cell in row) for row in rows)
    return count


def test_all_rows_of_a_person_go_and_none_of_another(store: Path) -> None:
    theirs, others = rows_with(store, ANA), rows_with(store, BIA)
    assert session_store.erase(str(store), JIDS) == theirs
    assert rows_with(store, ANA) == 0
    assert rows_with(store, BIA) == others
    assert rows_with(store, OURS) > 0


def test_nothing_of_them_is_left_in_the_file(store: Path) -> None:
    session_store.erase(str(store), JIDS)
    files = [path for path in store.parent.iterdir() if path.name.startswith(store.name)]
    assert not [path for path in files if ANA.encode() in path.read_bytes()]


def test_a_person_is_found_by_number_or_lid(store: Path) -> None:
    assert session_store.forms_of(str(store), frozenset({f"{ANA}@s.whatsapp.net"})) == JIDS
    assert session_store.forms_of(str(store), frozenset({f"{ANA_LID}@lid"})) == JIDS


def test_a_stranger_is_who_they_are(store: Path) -> None:
    stranger = frozenset({"5511900000000@s.whatsapp.net"})
    assert session_store.forms_of(str(store), stranger) == stranger
    assert session_store.erase(str(store), stranger) == 0


def test_a_store_that_a_port_uses_is_left_alone(store: Path) -> None:
    descriptor = lock.take(str(store), Holder(pid=1, main_pid=1, main_started=1))
    with pytest.raises(StoreUnavailableError, match="in use"):
        session_store.erase(str(store), JIDS)
    os.close(descriptor)
    assert session_store.erase(str(store), JIDS) > 0


def test_while_it_erases_no_port_can_begin(store: Path) -> None:
    with session_store._locked(str(store)), pytest.raises(lock.StoreHeldError):
        lock.take(str(store), Holder(pid=1, main_pid=1, main_started=1))


def test_there_need_be_no_store(tmp_path: Path) -> None:
    assert session_store.erase(str(tmp_path / "none.db"), JIDS) == 0
    assert session_store.forms_of(str(tmp_path / "none.db"), JIDS) == JIDS
    assert session_store.contacts(str(tmp_path / "none.db"), None) == []


def test_names_are_handed_over(store: Path) -> None:
    assert session_store.contacts(str(store), JIDS) == [
        {"jid": f"{ANA}@s.whatsapp.net", "push_name": "Name"},
        {"jid": f"{ANA_LID}@lid", "push_name": "Name"},
    ]
    assert len(session_store.contacts(str(store), None)) == 4


@pytest.mark.parametrize(
    ("value", "theirs"),
    [
        (f"{ANA}:0", True),
        (f"{ANA}:12", True),
        (f"{ANA_LID}_1:0", True),
        (f"{ANA}_1:0", False),
        (f"{ANA_LID}:0", False),
        (f"{ANA}:4@s.whatsapp.net", True),
        (f"{ANA}1:0", False),
        ("", False),
        (None, False),
        (b"5511988880001:0", False),
    ],
)
def test_a_signal_address_says_by_its_agent_whether_it_is_a_lid(value: object, theirs: bool) -> None:
    assert session_store.is_of(value, JIDS) is theirs
