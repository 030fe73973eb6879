import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from importlib.resources import files

import pytest

from gateway.store.migrating import functions_of
from gateway.store.queries import load_queries, split_named
from gateway.store.schema import load_migrations, migrate
from gateway.store.sealing import Seal
from gateway.vault.keys import new_key

WHOLE = {"count_commands", "count_spooled", "select_size", "select_channels"}
"""Statements about all there is, which walk over an index, or ask no table."""


def named_in(file: str) -> set[str]:
    return set(split_named((files("gateway.store") / "sql" / file).read_text()))


ONCE_IN_A_WHILE = named_in("people.sql") | named_in("resealing.sql")
"""Statements for which no index is kept: of what is asked by people, or swept once an hour."""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection, load_migrations(), functions_of(Seal("acme", new_key())))
        yield connection


def plan_of(connection: sqlite3.Connection, sql: str) -> list[str]:
    """The steps that read tables."""
    names = dict.fromkeys(re.findall(r":(\w+)", re.sub("--.*", "", sql)), 1)
    numbers = [1] * max(map(int, re.findall(r"\?(\d+)", sql)), default=0)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", names or numbers).fetchall()
    return [step for *_, step in plan if step.startswith(("SCAN", "SEARCH")) and "json_each" not in step]


@pytest.mark.parametrize("name", sorted(asdict(load_queries()).keys() - WHOLE - ONCE_IN_A_WHILE))
def test_no_statement_walks_over_a_whole_table(connection: sqlite3.Connection, name: str) -> None:
    walks = [step for step in plan_of(connection, getattr(load_queries(), name)) if step.startswith("SCAN")]
    small = (
        "results_unpublished",
        "CONSTANT ROW",
        "spool_size",
        "sqlite_sequence",
        "(subquery",
        "SCAN f",
        "SCAN channels",
    )
    assert not [step for step in walks if not any(name in step for name in small)], walks


@pytest.mark.parametrize("name", ["count_spooled", "select_channels"])
def test_what_is_about_all_there_is_reads_an_index_alone(connection: sqlite3.Connection, name: str) -> None:
    plan = plan_of(connection, getattr(load_queries(), name))
    assert all("COVERING INDEX" in step or step in ("SCAN each", "SCAN CONSTANT ROW") for step in plan), plan


@pytest.mark.parametrize(
    ("name", "index"),
    {
        "select_known": "sqlite_autoindex_commands_1 (channel=? AND id=?)",
        "select_last": "commands_turn (channel=? AND turn>?)",
        "select_unfinished": "commands_turn (channel=? AND turn>?)",
        "select_scheduled": "commands_state (channel=? AND state=?)",
        "select_page_of_state": "commands_state (channel=? AND state=? AND rowid<?)",
        "select_page_to_send": "commands_turn (channel=? AND turn>?)",
        "select_last_place": "results_unpublished (place>?)",
        "begin_attempt": "sqlite_autoindex_commands_1 (channel=? AND id=?)",
        "mark_published": "PRIMARY KEY (command=? AND run=?)",
        "insert_failure": "failures_command (command=?)",
        "select_unpublished": "results_unpublished (place>?)",
        "select_failed": "PRIMARY KEY (command=? AND run=?)",
        "select_senders": "results_wa_id (wa_id=?)",
        "select_unsettled": "commands_wa_id (wa_id=?)",
        "select_overdue": "commands_deadline (channel=? AND deadline<?)",
        "select_next_deadline": "commands_deadline (channel=? AND deadline>?)",
        "count_sendings": "commands_ended (channel=? AND ended_at>?)",
        "select_spooled": "spool_channel (channel=? AND seq>?)",
        "delete_spooled": "sqlite_autoindex_claims_1 (channel=? AND key=?)",
        "sweep_commands": "commands_ended (channel=? AND ended_at<?)",
        "sweep_claims": "claims_at (at<?)",
    }.items(),
)
def test_a_statement_finds_its_rows_by_the_index_made_for_it(
    connection: sqlite3.Connection, name: str, index: str
) -> None:
    plan = plan_of(connection, getattr(load_queries(), name))
    assert any(step.endswith(index) for step in plan), plan


def test_every_statement_says_what_it_does() -> None:
    for name, statement in asdict(load_queries()).items():
        assert statement.startswith("-- "), name


def test_text_before_the_first_name_belongs_to_no_statement() -> None:
    text = "-- about the file\n-- name: one\n-- First.\nSELECT 1;\n\n-- name: two\nSELECT 2;\n"
    assert split_named(text) == {"one": "-- First.\nSELECT 1;", "two": "SELECT 2;"}


def test_a_name_may_not_be_given_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        split_named("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")
