"""Our supervisors against what the real OTP did, and the tool that says so."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from tests.otp import replay
from tests.otp.wording import Json

REPOSITORY = Path(__file__).parents[3]
SAMPLE = REPOSITORY / "tests/otp/sample.jsonl"
"""Some scenarios of the whole corpus: every profile, tag, strategy, need and operation that occurs there."""
CORPUS = REPOSITORY.parent / "shared/otp/corpus.jsonl"
"""The whole corpus, which lies beside the checkout where there is one."""


@pytest.fixture(autouse=True)
def logging_as_it_was() -> object:
    """The tool turns the log off."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def entries(path: Path = SAMPLE) -> list[Json]:
    return list(replay.scenarios(path))


def written(path: Path, *listed: Json) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in ({"corpus": "own"}, *listed)), encoding="utf-8")
    return path


@pytest.mark.parametrize("corpus", [SAMPLE, *([CORPUS] if CORPUS.exists() else [])], ids=lambda path: path.stem)
def test_our_supervisors_do_what_otp_did(corpus: Path) -> None:
    tally = replay.replay(corpus)
    assert tally.lines == []
    assert tally.failed == 0
    assert tally.passed + tally.skipped == len(entries(corpus))
    skipped = [entry for entry in entries(corpus) if replay.SKIPPED & set(entry["scenario"]["needs"])]
    assert tally.skipped == len(skipped), "nothing else is skipped"


@pytest.mark.skipif(not CORPUS.exists(), reason="no corpus beside the checkout")
def test_the_sample_has_something_of_everything() -> None:
    def kinds(path: Path) -> set[tuple[str, str]]:
        scenarios = [entry["scenario"] for entry in entries(path)]
        return {
            (field, value)
            for scenario in scenarios
            for field in ("profile", "tags", "needs")
            for value in ([scenario[field]] if field == "profile" else scenario[field])
        }

    assert kinds(SAMPLE) == kinds(CORPUS)


def test_the_sample_is_small_and_says_where_it_is_from() -> None:
    header = json.loads(SAMPLE.read_text(encoding="utf-8").splitlines()[0])
    assert header["scenarios"] == len(entries()) == 28
    assert header["otp"].startswith("25.")
    assert SAMPLE.stat().st_size < 100_000


# -- the command line --

Change = Callable[[Json], object]


def wrong(entry: Json) -> Json:
    """``entry`` as if OTP had done something else."""
    changed: Json = json.loads(json.dumps(entry))
    changed["trace"]["steps"][0]["events"].append({"ev": "supervisor_exit", "reason": "boredom"})
    return changed


def playable() -> list[Json]:
    return [entry for entry in entries() if not replay.SKIPPED & set(entry["scenario"]["needs"])]


def test_it_exits_with_0_if_all_is_as_it_was_and_the_last_line_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = next(entry for entry in entries() if "erlang_links" in entry["scenario"]["needs"])
    assert replay.main([str(written(tmp_path / "c.jsonl", *playable()[:3], skipped))]) == 0
    assert capsys.readouterr().out == "3 passed, 0 failed, 1 skipped\n"


def test_it_exits_with_1_and_a_line_for_each_mismatch_if_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = playable()[:2]
    assert replay.main([str(written(tmp_path / "c.jsonl", wrong(bad), good))]) == 1
    mismatch, counts = capsys.readouterr().out.splitlines()
    assert mismatch.startswith(f"{bad['scenario']['id']}: step -1: expected ")
    assert " got " in mismatch
    assert counts == "1 passed, 1 failed, 0 skipped"


def test_a_tag_chooses_what_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tagged = [entry for entry in playable() if "one_for_all" in entry["scenario"]["tags"]]
    assert replay.main([str(SAMPLE), "--only", "one_for_all"]) == 0
    assert capsys.readouterr().out == f"{len(tagged)} passed, 0 failed, 0 skipped\n"
    assert replay.main([str(SAMPLE), "--only", "no such tag"]) == 0
    assert capsys.readouterr().out == "0 passed, 0 failed, 0 skipped\n"


def test_verbose_has_a_line_for_each_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = playable()[:2]
    replay.main([str(written(tmp_path / "c.jsonl", good, wrong(bad))), "--verbose"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{good['scenario']['id']}: passed"
    assert lines[-2:] == [f"{bad['scenario']['id']}: failed", "1 passed, 1 failed, 0 skipped"]


@pytest.mark.parametrize("content", [None, "no JSON\n"])
def test_it_exits_with_2_for_a_file_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "c.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert replay.main([str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(path) in captured.err


@pytest.mark.parametrize("arguments", [[], ["--no-such-option", "file"]])
def test_it_exits_with_2_for_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        replay.main(arguments)
    assert raised.value.code == 2
    assert "usage: python -m tests.otp.replay" in capsys.readouterr().err


def test_the_names_of_scenarios_and_children_do_not_matter(tmp_path: Path) -> None:
    entry = next(entry for entry in playable() if "rest_for_one" in entry["scenario"]["tags"])
    renamed = json.loads(json.dumps(entry).replace(entry["scenario"]["id"], "another name"))
    assert replay.replay(written(tmp_path / "c.jsonl", renamed)).passed == 1
