"""What there is to be named: commands, variables, settings, routes, subjects, targets, as the code has them."""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway.http.app import table
from gateway.http.catalogue import CATALOGUE, exposed
from gateway.http.surround import HttpLimits
from protocol import subjects
from protocol.commands import Media
from protocol.subjects import ClinicVerb, EventKind, Priority, Verb
from tests.commands import Command, commands, groups
from tests.documents.settings import sections
from tests.unit.gateway.http.fake_node import fake_backends

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ("supervisor", "actors", "protocol", "gateway", "config")
_ANYTHING: Final = re.compile(r"[<{*>$…]|^[A-Z]+$")
"""In a subject or path: a placeholder."""


@cache
def documents() -> Sequence[Path]:
    """All that describes Plantão, or is written for it, outside its code."""
    kinds = (".md", ".yml", ".yaml", ".json", ".toml", ".service", ".env", ".example", ".conf", "")
    deployed = [path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix in kinds]
    readmes = [path for top in (*PRODUCT, "tests") for path in (ROOT / top).rglob("README.md")]
    others = [ROOT / "README.md", ROOT / ".env.example", ROOT / "protocol" / "asyncapi.yaml"]
    skipped = ("node_modules", ".venv", "package-lock.json")
    return sorted(path for path in (*others, *deployed, *readmes) if not set(skipped) & set(path.parts))


@cache
def tree() -> dict[tuple[str, ...], Command]:
    """Commands and groups by their words."""
    return {command.words: command for command in (*commands(), *groups())}


def wrong_in(words: Sequence[str]) -> str | None:
    """What is wrong with a command line as a document has it, with placeholders; None if it is one."""
    path: tuple[str, ...] = ()
    for word in words:
        if (*path, word) not in tree():
            break
        path = (*path, word)
    command, rest = tree()[path], words[len(path) :]
    if rest and _ANYTHING.search(rest[0]):
        return None
    if command.words == () and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        return f"no command {rest[0]}"
    if hasattr(command.made, "commands") and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        return f"{command} has no {rest[0]}"
    unknown = [word for word in rest if re.match(r"--[a-z]", word) and word.partition("=")[0] not in command.options]
    return f"{command} has no {', '.join(unknown)}" if unknown else None


@cache
def variables() -> set[str]:
    """Of the environment: settings, and options of the command line."""
    every = [setting for section in sections() for setting in section.settings]
    options = {
        name
        for command in commands()
        for parameter in command.made.params
        for name in _names(getattr(parameter, "envvar", None))
    }
    return {one.variable for one in every} | {f"{one.variable}_FILE" for one in every if one.secret} | options


def _names(envvar: object) -> Iterable[str]:
    if envvar is None:
        return ()
    return (envvar,) if isinstance(envvar, str) else map(str, envvar)  # type: ignore[call-overload]


@cache
def settings() -> set[str]:
    """As ``section.key``."""
    return {setting.key for section in sections() for setting in section.settings}


@cache
def fields_of_commands() -> set[str]:
    """Of the send command's ``media``, which is also a section."""
    return {f"media.{field.encode_name}" for field in msgspec.structs.fields(Media)}


@cache
def metrics() -> set[str]:
    """Names of series, and of what they make up."""
    return {*exposed(), *(metric.name for metric in CATALOGUE)}


@cache
def section_names() -> set[str]:
    return {section.name for section in sections() if section.name}


@cache
def routes() -> set[tuple[str, str]]:
    """Method and path."""
    with ThreadPoolExecutor(1) as executor:
        return {(route.method, route.path) for route in table(fake_backends(), HttpLimits(), executor, {})}


def is_route(method: str, path: str) -> bool:
    """Whether a route may be meant: with names for placeholders, or as the beginning of some if it ends with ``/…``
    or names no method."""
    tokens = path.strip("/").split("/")
    whole = method != ""
    if tokens[-1] in ("…", "", "*"):
        tokens, whole = tokens[:-1], False
    for known, template in routes():
        parts = template.strip("/").split("/")
        fits = len(parts) == len(tokens) if whole else len(parts) >= len(tokens)
        if fits and method in ("", known, "HEAD", "OPTIONS") and all(map(_fits, tokens, parts)):
            return True
    return False


def _fits(token: str, part: str) -> bool:
    return part.startswith("{") or token == part or bool(_ANYTHING.search(token))


@cache
def subject_templates() -> set[str]:
    """Every subject, ``*`` standing for what differs."""
    return {
        *(subjects.send("*", "*", priority) for priority in Priority),
        *(subjects.event("*", "*", kind) for kind in EventKind),
        *(subjects.rpc("*", "*", verb) for verb in Verb),
        *(subjects.clinic_rpc("*", verb) for verb in ClinicVerb),
        subjects.dead("*", "*"),
        subjects.later("*", "*", "*"),
        subjects.due("*", "*"),
    }


def is_subject(pattern: str) -> bool:
    """Whether it is a subject, or a pattern that some subject fits."""
    tokens = pattern.split(".")
    opened = tokens[-1] in (">", "…")
    tokens = tokens[:-1] if opened else tokens
    for template in subject_templates():
        parts = template.split(".")
        fits = len(parts) >= len(tokens) if opened else len(parts) == len(tokens)
        if fits and all(part == "*" or _fits(token, part) for token, part in zip(tokens, parts, strict=False)):
            return True
    return False


@cache
def targets() -> set[str]:
    """Of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def made_by_users() -> set[str]:
    """Paths that are not in the repository, and that documents tell somebody to make there."""
    return {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}


@cache
def words_of_the_code() -> set[str]:
    """Every string in the product that is a word, or some: what lines of the log say is among them."""
    files = [path for top in PRODUCT for path in (ROOT / top).rglob("*.py")]
    return {word for path in files for word in re.findall(r'"([a-z][a-z0-9_ ]*)"', path.read_text())}
