"""The page without a browser: what it decides, and that its words are all there and all used."""

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest

from actors.channel import lifecycle
from gateway.http import problems
from gateway.http.static import read_page
from protocol.access import Role
from protocol.channel import Breaker, ChannelState, ClinicState, WantedState
from protocol.codes import ErrorCode
from protocol.commands import SUPPORTED_TYPES
from protocol.views import CommandState
from supervisor.api import Phase

PAGE: Final = Path(str(files("gateway.http").joinpath("page")))
TESTS: Final = Path(__file__).with_name("page.test.mjs")
LANGUAGES: Final = ("en", "pt")
LITERAL: Final = re.compile(r'["`]([a-z_]+\.[a-z_]+(?:[.-][a-z_]+)*)["`]')
PREFIX: Final = re.compile(r"`([a-z_]+\.(?:[a-z_]+[._])?)\$\{")
NODE: Final = shutil.which("node")
SLUGS: Final = {
    *(kind.slug for kind in problems.KINDS.values()),
    *(kind.slug for kind in vars(problems).values() if isinstance(kind, problems.Kind)),
}
TELLING: Final = {"rest", "move", "open", "suspend", "retire", "lose_port", "lose_socket"}
"""Methods of ``lifecycle`` that take the reason that is shown."""


def node(*arguments: str) -> "subprocess.CompletedProcess[str]":
    assert NODE is not None, "install Node.js (Debian: nodejs): the page's own tests run in it"
    env = {**os.environ, "PAGE": str(PAGE)}
    return subprocess.run([NODE, *arguments], capture_output=True, text=True, timeout=60, env=env, check=False)


def test_what_the_page_decides() -> None:
    done = node("--test", "--test-reporter=tap", str(TESTS))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def words() -> dict[str, dict[str, str]]:
    tables = ", ".join(f"{name}: (await import('file://{PAGE}/words-{name}.js')).default" for name in LANGUAGES)
    done = node("--input-type=module", "--eval", f"console.log(JSON.stringify({{{tables}}}))")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def source() -> str:
    scripts = (path for path in sorted(PAGE.glob("*.js")) if not path.name.startswith("words-"))
    return "\n".join(path.read_text() for path in scripts)


def base(key: str) -> str:
    """A key without the form for how many."""
    return re.sub(r"\.(one|other)$", "", key)


def test_both_languages_have_the_same_keys(words: dict[str, dict[str, str]]) -> None:
    assert words["en"].keys() == words["pt"].keys()


def test_every_sentence_is_used(words: dict[str, dict[str, str]], source: str) -> None:
    literal, prefixes = set(LITERAL.findall(source)), tuple(set(PREFIX.findall(source)))
    unused = {key for key in words["en"] if base(key) not in literal and not key.startswith(prefixes)}
    assert not unused


def test_every_sentence_that_is_used_is_there(words: dict[str, dict[str, str]], source: str) -> None:
    there = {base(key) for key in words["en"]}
    asked = set(re.findall(r'\bt\(\s*"([^"]+)"', source))
    assert asked
    assert not asked - there


def test_every_reason_of_a_channel_is_understood() -> None:
    reasons = sorted(reasons_in(Path(lifecycle.__file__).read_text()))
    assert len(reasons) > 20
    ask = "console.log(JSON.stringify(JSON.parse(process.argv[1]).filter((one) => understood(one).kind === 'other')))"
    script = f"import {{ understood }} from 'file://{PAGE}/reasons.js'; {ask}"
    done = node("--input-type=module", "--eval", script, "--", json.dumps(reasons))
    assert json.loads(done.stdout) == [], done.stderr


def reasons_in(source: str) -> Iterator[str]:
    """The reasons that are written out there; what is put into them is ``7``."""
    for found in ast.walk(ast.parse(source)):
        match found:
            case ast.Call(func=ast.Attribute(attr=name), args=args) if name in TELLING:
                yield from (text for each in args if (text := text_of(each)))
            case ast.FunctionDef(name="impatience"):
                yield from (
                    text for each in ast.walk(found) if isinstance(each, ast.Return) and (text := text_of(each.value))
                )


def text_of(node: ast.expr | None) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) or "7" for part in parts)
        case _:
            return ""


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("state", [*ChannelState]),
        ("clinic_state", [*ClinicState]),
        ("means", [*ChannelState, *(f"clinic_{state}" for state in ClinicState)]),
        ("todo", [*ChannelState, *(f"clinic_{state}" for state in ClinicState)]),
        ("wanted", [*WantedState]),
        ("breaker", [*Breaker]),
        ("phase", [phase.value for phase in Phase]),
        ("message", [*CommandState, "queued", "delivered", "read"]),
        ("type", sorted(SUPPORTED_TYPES)),
        ("code", [code.value for code in ErrorCode]),
        ("role", [*Role]),
        ("problem", sorted(SLUGS)),
    ],
)
def test_whatever_the_node_may_say_has_words(words: dict[str, dict[str, str]], prefix: str, names: list[str]) -> None:
    assert {f"{prefix}.{name}" for name in names} <= words["en"].keys()


def test_the_document_names_files_that_are_there_and_preloads_every_module() -> None:
    page = read_page()
    document = page["index.html"].body.decode()
    named = set(re.findall(r'(?:href|src)="/page/([^"]+)"', document))
    scripts = {name for name in page if name.endswith(".js") and not name.startswith("words-")}
    assert named <= page.keys()
    assert scripts <= named


def test_the_document_has_nothing_inline() -> None:
    document = read_page()["index.html"].body.decode()
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|https?://", document)


def test_nothing_makes_markup_or_code_of_data(source: str) -> None:
    assert not re.search(
        r"(inner|outer)HTML|insertAdjacentHTML|srcdoc|document\.write|\beval\(|new Function|javascript:", source
    )
