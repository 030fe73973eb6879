"""Real session stores: sealed while a port uses them, and gone on from elsewhere, with contacts who notice a ratchet
key that comes twice."""

import base64
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.vault import session_store
from protocol.port import Sent
from protocol.port_events import MessageReceived
from protocol.vault import Restoration
from tests.emulator.client import EmulatorProcess
from tests.integration.vault import session_stores
from tests.integration.vault.conftest import MakeVaults
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import Account, answer_to, text

pytestmark = pytest.mark.asyncio(loop_scope="session")

KNOWN_TABLES = {
    "app_state_mutation_macs", "app_state_sync_keys", "app_state_version", "chat_settings", "contacts", "device",
    "event_buffer", "identity_keys", "lid_map", "message_secrets", "nct_salt", "pre_keys", "privacy_tokens",
    "retry_buffer", "sender_keys", "sessions", "version",
}  # fmt: skip
"""Of whatsmeow's version 15. If there are others, see which of them hold ratchets, and have them dropped."""


async def exchange(clinic: Account, emulator: EmulatorProcess, contact: str, words: str) -> None:
    """The contact writes and is read, is answered, and reads."""
    assert clinic.port is not None
    wa_id = await emulator.send_text(contact, clinic.phone, f"{words}?")
    await clinic.heard.until(MessageReceived, lambda it: it.wa_id == wa_id)
    assert isinstance(await answer_to(clinic.port, text(contact, f"{words}!")), Sent)
    await emulator.wait_for_message(contact, text=f"{words}!")


async def write_first(clinic: Account, emulator: EmulatorProcess, contact: str, words: str) -> None:
    """The contact is written to, reads, answers, and is read."""
    assert clinic.port is not None
    assert isinstance(await answer_to(clinic.port, text(contact, f"{words}!")), Sent)
    await emulator.wait_for_message(contact, text=f"{words}!")
    await exchange(clinic, emulator, contact, words + " again")


async def test_both_sides_talk_on_after_a_stale_restoration_elsewhere_and_no_key_comes_twice(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, vaults: MakeVaults, store: Path
) -> None:
    clinic, old, older, later, new = account(), number(), number(), number(), number()
    vault = vaults().clinic("north")
    await clinic.paired()
    for contact in (old, older):
        await exchange(clinic, emulator, contact, "before")
    await vault.snapshot("front-desk", str(clinic.store), clean=False)
    for contact in (old, older, later):  # of all this the snapshot knows nothing
        for turn in range(3):
            await exchange(clinic, emulator, contact, f"since {turn}")
    await clinic.close()
    session_stores.lose_all(clinic.store)

    clinic.store = store
    assert await vault.restore("front-desk", str(store)) is Restoration.STALE
    await clinic.connected()
    await write_first(clinic, emulator, old, "from us")
    await exchange(clinic, emulator, older, "from them")
    await exchange(clinic, emulator, later, "from one who is unknown now")
    await write_first(clinic, emulator, new, "to a new one")
    stats = await emulator.stats()
    assert stats.key_reuse == []
    assert [it for it in await emulator.unreadable() if it.to in {old, older, later, new}] == []


async def test_a_clean_snapshot_goes_on_where_it_was(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, vaults: MakeVaults, store: Path
) -> None:
    clinic, contact = account(), number()
    vault = vaults().clinic("north")
    await clinic.paired()
    await exchange(clinic, emulator, contact, "before")
    await clinic.close()
    await vault.snapshot("front-desk", str(clinic.store), clean=True)
    session_stores.lose_all(clinic.store)

    clinic.store = store
    assert await vault.restore("front-desk", str(store)) is Restoration.CLEAN
    with closing(sqlite3.connect(store)) as database:
        assert database.execute("SELECT count(*) FROM whatsmeow_sessions").fetchone()[0] > 0
    await clinic.connected()
    await exchange(clinic, emulator, contact, "after")
    assert (await emulator.stats()).key_reuse == []


async def test_snapshots_in_use_hold_up_nobody_and_show_nothing(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, vaults: MakeVaults, data: Path
) -> None:
    clinic, contact = account(), number()
    vault = vaults().clinic("north")
    port = await clinic.paired()
    for turn in range(5):
        assert isinstance(await answer_to(port, text(contact, f"consulta {turn}")), Sent)
        await vault.snapshot("front-desk", str(clinic.store), clean=False)
    await clinic.close()
    assert session_store.is_paired(str(clinic.store))
    secret = secrets_of(clinic.store) | {clinic.phone.encode(), contact.encode()}
    assert len(secret) > 800
    kept = contents(data)
    assert len(kept) == 5 + 2
    for each in secret:
        for shape in (each, each.hex().encode(), each.hex().upper().encode(), base64.b64encode(each)):
            assert [name for name, content in kept.items() if shape in content] == []


async def test_whatsmeow_keeps_ratchets_where_it_is_known(account: MakeAccount) -> None:
    clinic = account()
    await clinic.paired()
    await clinic.close()
    with closing(sqlite3.connect(clinic.store)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {name.removeprefix("whatsmeow_") for name in tables} == KNOWN_TABLES


def contents(data: Path) -> dict[str, bytes]:
    """Of all files below ``data``."""
    return {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def secrets_of(store: Path) -> set[bytes]:
    """The private keys, secrets and sessions in a real store."""
    columns = {
        "device": ("noise_key", "identity_key", "signed_pre_key", "adv_key"),
        "pre_keys": ("key",),
        "message_secrets": ("key",),
        "sessions": ("session",),
    }
    with closing(sqlite3.connect(store)) as database:
        return {
            bytes(row[0])
            for table, names in columns.items()
            for name in names
            for row in database.execute(f"SELECT {name} FROM whatsmeow_{table}")
            if row[0]
        }
