import json

import pytest

from config.cli.client import NodeAwayError, NodeRefusedError
from config.cli.output import Output, clean, exit_code, local_time, shown
from config.settings import SettingsError
from protocol.errors import InvalidInputError, PlantaoError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError("--url", "a URL"), 2),
        (SettingsError("plantao.toml", "http.port", "a number"), 2),
        (NodeRefusedError(400, {}), 2),
        (NodeRefusedError(401, {}), 2),
        (NodeRefusedError(404, {}), 1),
        (NodeRefusedError(409, {}), 1),
        (NodeRefusedError(503, {}), 1),
        (NodeAwayError("away"), 1),
        (PlantaoError("failed"), 1),
    ],
)
def test_the_exit_code_says_whether_writing_it_again_would_help(error: PlantaoError, code: int) -> None:
    assert exit_code(error) == code


def test_a_table_that_is_piped_is_neither_folded_nor_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table(("A", "B"), [("x" * 300, None), ("[red]y[/red] :smile:", 3)], {})

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "x" * 300 in lines[1]
    assert "[red]y[/red] :smile:" in lines[2]


def test_what_steers_a_terminal_is_taken_out() -> None:
    assert clean("Ana\x1b[2J\u202e\r") == "Ana�[2J��"
    assert shown("one\ntwo") == "one two"


def test_json_is_one_line_with_every_character_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).table(("A",), [], {"name": "Clínica"})

    assert capsys.readouterr().out == '{"name": "Clínica"}\n'


def test_a_failure_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code = Output(as_json=False).failure(NodeRefusedError(409, {"detail": "clinic acme exists already"}))

    assert code == 1
    assert capsys.readouterr() == ("", "plantao: clinic acme exists already\n")


def test_a_failure_for_programs_holds_the_problem(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).failure(NodeRefusedError(400, {"detail": "to: expected digits", "field": "to"}))

    assert json.loads(capsys.readouterr().err) == {"error": {"detail": "to: expected digits", "field": "to"}}


def test_an_incident_is_named_so_that_it_is_found_in_the_log() -> None:
    problem = {"detail": "see the node's log under this incident", "incident": "4f2a"}
    assert str(NodeRefusedError(500, problem)) == "see the node's log under this incident: 4f2a"


def test_a_problem_without_detail_is_described_by_its_status() -> None:
    assert str(NodeRefusedError(502, {})) == "the node answered 502"


def test_times_are_local() -> None:
    shown_time = local_time("2026-11-20T12:00:00Z")

    assert shown_time is not None
    assert shown_time.startswith("2026-11-")
    assert local_time(None) is None
