"""What is personal is in the file for who has the clinic's key alone, and a file under another key is refused."""

import base64
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs
from msgspec.structs import replace

from gateway.store import SqliteStore
from gateway.store.ledger import SqliteLedger
from gateway.vault.keys import DataKey, new_key
from protocol.errors import StoreUnavailableError, WrongKeyError
from protocol.events import ErrorBody
from protocol.inbound import Claim
from protocol.ledger import Paired, Receipt
from tests.integration.store import version_2
from tests.integration.store.samples import (
    CHANNEL,
    NOW,
    SECRET,
    begun,
    failed,
    message,
    offer,
    published,
    sent,
    set_back,
    settled,
)

LID = "77812345678901@lid"
CORRELATED = {"Plantao-Correlation-Id": "correlação-17"}
PERSONAL = (
    "5511987654321",
    LID,
    "5511912345678",
    "Sua consulta amanhã",
    "Não posso ir",
    "Olá",
    "visita-4711",
    "visit-7",
    "correlação-17",
    "não existe no WhatsApp",
    "in words",
)


def encodings(value: str) -> Iterator[bytes]:
    """A value as it could lie on a disk."""
    plain = value.encode()
    yield from (plain, value.encode("utf-16-le"), value.encode("utf-16-be"))
    if len(plain) > 4:
        yield from (plain.hex().encode(), plain.hex().upper().encode())
        # What is between its ends, however those are aligned.
        yield from (base64.b64encode(b"\0" * shift + plain)[4:-4] for shift in range(3))


def found_in(directory: Path) -> set[tuple[str, str]]:
    """(file, value) of what is personal and in clear in any file of the directory."""
    contents = {file.name: file.read_bytes() for file in directory.iterdir()}
    wanted = [(value, coded) for value in PERSONAL for coded in encodings(value)]
    return {
        (name, value)
        for name, content in contents.items()
        for value, coded in [*wanted, ("", SECRET)]
        if coded in content
    }


def key_of_claim(number: int) -> str:
    return f"{CHANNEL}.{LID}.WAX{number}"


def id_of(number: int) -> str:
    """An id as some senders make them."""
    return f"5511987654321-{number}"


async def talk(ledger: SqliteLedger) -> None:
    """Something of every kind, and some of it gone again."""
    recipients = ["5511987654321", LID, "5511987654321", "5511987654321"]
    offers = [
        replace(offer(id_of(n), "Sua consulta amanhã", meta={"visit": "visita-4711"}, to=to), headers=CORRELATED)
        for n, to in enumerate(recipients)
    ]
    await ledger.accept(CHANNEL, offers, NOW)
    await ledger.record(CHANNEL, begun(*map(id_of, range(4))))
    await ledger.record(CHANNEL, settled(sent(id_of(0), "WA0", meta={"visit": "visita-4711"})))
    lost = ErrorBody(code="rejected", message="5511987654321 não existe no WhatsApp", permanent=True)
    await ledger.record(CHANNEL, settled(structs.replace(failed(id_of(1)), error=lost)))
    await ledger.record(CHANNEL, set_back(id_of(2)))
    await ledger.record(CHANNEL, published(id_of(0)))
    await ledger.receipted(CHANNEL, [Receipt(wa_id="WA0", kind="read", at=NOW)])
    claims = [
        Claim(
            key=key_of_claim(n),
            what=message(f"WAX{n}", "Não posso ir", sender=LID),
            people=(LID, "5511987654321@s.whatsapp.net"),
            opted_out=True,
        )
        for n in range(3)
    ]
    await ledger.claim(CHANNEL, claims, NOW)
    await ledger.stored(CHANNEL, [key_of_claim(0)])
    await ledger.pair(CHANNEL, Paired(phone="5511912345678", jid="5511912345678:3@s.whatsapp.net", changed_at=NOW))


async def all_of(ledger: SqliteLedger) -> list[object]:
    """What it answers to every question."""
    page = await ledger.commands(CHANNEL, state=None, before=None, limit=100)
    return [
        await ledger.unfinished(CHANNEL),
        await ledger.scheduled(CHANNEL),
        await ledger.unpublished(CHANNEL),
        page,
        [await ledger.command(CHANNEL, view.id) for view in page.items],
        [await ledger.letter(CHANNEL, view.id, view.run) for view in page.items if view.state == "failed"],
        await ledger.ours(CHANNEL, ["WA0", "WA9", "other"]),
        await ledger.receipted(CHANNEL, [Receipt(wa_id="WA0", kind="read", at=NOW)]),
        await ledger.spooled(CHANNEL, 0, 100),
        await ledger.claimed(CHANNEL, [*map(key_of_claim, range(4)), version_2.KEY, f"{version_2.KEY}2"]),
        await ledger.paired(CHANNEL),
        await ledger.traced(CHANNEL),
        await ledger.sendings(CHANNEL, minute=NOW, day=NOW),
        (await ledger.counts()).commands,
    ]


@pytest.fixture
def keys() -> dict[str, list[DataKey]]:
    return {"acme": [new_key()], "vila": [new_key()]}


@pytest.fixture
async def store(tmp_path: Path, keys: dict[str, list[DataKey]]) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, keys.__getitem__, busy_timeout=0.05)
    await store.start()
    yield store
    await store.stop(timeout=5)


def raw(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None)


async def test_nothing_personal_is_in_any_file(store: SqliteStore, file: Path) -> None:
    ledger = await store.open_clinic("acme")
    await talk(ledger)
    assert {each.name for each in file.parent.iterdir()} == {"clinic.db", "clinic.db-wal", "clinic.db-shm"}
    assert found_in(file.parent) == set()
    await store.close_clinic("acme")
    assert found_in(file.parent) == set()


async def test_what_looks_for_it_would_find_it(file: Path) -> None:
    version_2.write(file)
    values = {value for _, value in found_in(file.parent)}
    assert {"5511987654321", "Não posso ir", "Olá", "visit-7", "in words", ""} <= values


async def test_a_file_in_clear_is_sealed_and_nothing_is_left_of_what_it_said(store: SqliteStore, file: Path) -> None:
    version_2.write(file)
    ledger = await store.open_clinic("acme")
    assert found_in(file.parent) == set()
    page = await ledger.commands(CHANNEL, state=None, before=None, limit=100)
    assert {view.to for view in page.items} == {"5511987654321", "+5511987654321", "77@lid", "5511-9@g.us"}
    [came] = await ledger.spooled(CHANNEL, 0, 10)
    assert (came.key, came.what) == (version_2.KEY, message("WAX", "Não posso ir"))
    assert await ledger.claimed(CHANNEL, [version_2.KEY, f"{version_2.KEY}2", "other"]) == {
        version_2.KEY,
        f"{version_2.KEY}2",
    }
    paired = Paired(phone="5511987654321", jid="5511987654321:3@s.whatsapp.net", changed_at=NOW)
    assert await ledger.paired(CHANNEL) == paired
    assert await ledger.traced(CHANNEL) == 7
    [doubted] = [each for each in await ledger.unfinished(CHANNEL) if each.uncertain]
    assert (doubted.secret, doubted.wa_id, doubted.contact.opted_out) == (SECRET, "WA9", True)
    await store.close_clinic("acme")
    assert found_in(file.parent) == set()
    with closing(raw(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_a_file_under_a_key_that_the_clinic_does_not_have_is_refused_untouched(
    store: SqliteStore, file: Path, keys: dict[str, list[DataKey]]
) -> None:
    before = await all_of(await store.open_clinic("acme"))
    await store.close_clinic("acme")
    content, right = file.read_bytes(), keys["acme"]  # noqa: ASYNC240 - a small file
    keys["acme"] = [new_key()]
    for _ in range(2):
        with pytest.raises(
            WrongKeyError, match=rf"clinic acme: .*clinic\.db is sealed with .*{right[0].id.hex()}.*put"
        ):
            await store.open_clinic("acme")
    assert file.read_bytes() == content  # noqa: ASYNC240 - a small file
    await store.open_clinic("vila")
    keys["acme"] = [new_key(), *right]
    assert await all_of(await store.open_clinic("acme")) == before


async def test_keys_that_cannot_be_had_are_said_and_asked_for_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(clinic: str) -> list[DataKey]:
        raise StoreUnavailableError(f"clinic {clinic}: the key file is damaged")

    monkeypatch.setattr(store, "_keys_of", fail)
    with pytest.raises(StoreUnavailableError, match="the key file is damaged"):
        await store.open_clinic("acme")
    with pytest.raises(StoreUnavailableError, match="not open"):
        store.clinic("acme")


@pytest.mark.parametrize(
    ("swap", "ask"),
    {
        "UPDATE bodies SET body = (SELECT body FROM bodies WHERE command <> 1)": "unfinished",
        "UPDATE commands SET private = (SELECT private FROM commands WHERE seq = 4) WHERE seq = 3": "unfinished",
        "UPDATE commands SET secret = (SELECT secret FROM commands WHERE seq = 4) WHERE seq = 3": "unfinished",
        "UPDATE results SET event = (SELECT event FROM results WHERE command = 1)": "unpublished",
        "UPDATE failures SET message = (SELECT message FROM failures WHERE command = 3)": "unpublished",
        "UPDATE spool SET what = (SELECT what FROM spool WHERE seq = 3)": "spooled",
        "UPDATE channels SET paired = zeroblob(60)": "paired",
        "UPDATE commands SET private = 'in clear' WHERE seq = 2": "unpublished",
    }.items(),
)
async def test_what_stands_in_the_place_of_something_else_is_damage_of_its_clinic_alone(
    store: SqliteStore, file: Path, swap: str, ask: str
) -> None:
    acme, vila = await store.open_clinic("acme"), await store.open_clinic("vila")
    await talk(acme)
    await talk(vila)
    before = await all_of(vila)
    with closing(raw(file)) as other:
        other.execute(swap)
    more = (0, 10) if ask == "spooled" else ()
    with pytest.raises(StoreUnavailableError, match=r"clinic acme: .* is damaged \(InvalidBodyError\)"):
        await getattr(acme, ask)(CHANNEL, *more)
    assert await all_of(vila) == before


async def test_a_file_of_another_clinic_is_of_no_use(
    store: SqliteStore, file: Path, keys: dict[str, list[DataKey]]
) -> None:
    keys["vila"] = keys["acme"]
    await talk(await store.open_clinic("acme"))
    await store.close_clinic("acme")
    other = file.parent.parent / "vila" / "clinic.db"
    other.parent.mkdir(mode=0o700)
    file.rename(other)  # noqa: ASYNC240 - at once
    vila = await store.open_clinic("vila")
    with pytest.raises(StoreUnavailableError, match=r"clinic vila: .* is damaged"):
        await vila.unfinished(CHANNEL)


async def test_all_is_sealed_anew_under_the_first_key(
    store: SqliteStore, file: Path, keys: dict[str, list[DataKey]]
) -> None:
    ledger = await store.open_clinic("acme")
    await talk(ledger)
    before = await all_of(ledger)
    sealed = _sealed(file)
    [old], new = keys["acme"], new_key()
    keys["acme"] = [new, old]
    await store.reseal("acme")
    assert await all_of(ledger) == before
    assert not sealed & _sealed(file)
    assert found_in(file.parent) == set()
    keys["acme"] = [new]
    await store.close_clinic("acme")
    assert await all_of(await store.open_clinic("acme")) == before
    keys["acme"] = [old]
    await store.close_clinic("acme")
    with pytest.raises(WrongKeyError):
        await store.open_clinic("acme")


def _sealed(file: Path) -> set[object]:
    """All that is sealed, and all tokens."""
    columns = {
        "commands": ("id", "chat", "secret", "private"),
        "bodies": ("body",),
        "results": ("event",),
        "failures": ("message",),
        "people": ("jid", "sealed"),
        "channels": ("paired",),
        "claims": ("key", "sealed"),
        "spool": ("what",),
        "consents": ("sealed",),
        "consenting": ("person",),
        "sealed_with": ("key",),
    }
    with closing(raw(file)) as connection:
        return {
            value
            for table, names in columns.items()
            for name in names
            for (value,) in connection.execute(f"SELECT {name} FROM {table} WHERE {name} IS NOT NULL")
        }


async def test_sealing_anew_what_is_under_the_first_key_changes_nothing(store: SqliteStore, file: Path) -> None:
    ledger = await store.open_clinic("acme")
    await talk(ledger)
    before = _sealed(file)
    await ledger.reseal()
    assert _sealed(file) == before


async def test_a_clinic_that_is_not_open_is_sealed_anew_and_closed_again(
    store: SqliteStore, file: Path, keys: dict[str, list[DataKey]]
) -> None:
    await talk(await store.open_clinic("acme"))
    await store.close_clinic("acme")
    before = _sealed(file)
    keys["acme"].insert(0, new_key())
    await store.reseal("acme")
    assert not before & _sealed(file)
    with pytest.raises(StoreUnavailableError, match="not open"):
        store.clinic("acme")


async def test_damage_keeps_the_old_seal(store: SqliteStore, file: Path, keys: dict[str, list[DataKey]]) -> None:
    ledger = await store.open_clinic("acme")
    await talk(ledger)
    with closing(raw(file)) as other:
        other.execute("UPDATE spool SET what = zeroblob(60) WHERE seq = 3")
    before = _sealed(file)
    keys["acme"].insert(0, new_key())
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await ledger.reseal()
    assert _sealed(file) == before
    assert len(await ledger.unfinished(CHANNEL)) == 2
