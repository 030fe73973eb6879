import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

import pytest

from gateway.store.queries import load_queries, split_named
from gateway.store.schema import load_migrations

PARAMETERS = {
    "channel": "recepcao",
    "id": "a",
    "ids": '["a"]',
    "wa_ids": '["a"]',
    "run": 1,
    "content": b"",
    "priority": "normal",
    "queued_at": 0,
    "headers": b"",
    "body": b"",
    "wa_id": "a",
    "event": b"",
}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for migration in load_migrations():
            for statement in migration.statements:
                connection.execute(statement)
        yield connection


@pytest.mark.parametrize("name", asdict(load_queries()))
def test_every_statement_finds_its_rows_by_an_index(connection: sqlite3.Connection, name: str) -> None:
    plan = connection.execute(f"EXPLAIN QUERY PLAN {getattr(load_queries(), name)}", PARAMETERS).fetchall()
    steps = [step for *_, step in plan if step.startswith(("SCAN", "SEARCH")) and "json_each" not in step]
    walks = [step for step in steps if step.startswith("SCAN") or step.endswith("(channel=?)")]
    assert all("commands_unfinished" in step or "results_unpublished" in step for step in walks), walks


def test_every_statement_says_what_it_does() -> None:
    for name, statement in asdict(load_queries()).items():
        assert statement.startswith("-- "), name


def test_text_before_the_first_name_belongs_to_no_statement() -> None:
    text = "-- about the file\n-- name: one\n-- First.\nSELECT 1;\n\n-- name: two\nSELECT 2;\n"
    assert split_named(text) == {"one": "-- First.\nSELECT 1;", "two": "SELECT 2;"}


def test_a_name_may_not_be_given_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        split_named("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")
