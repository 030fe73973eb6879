"""Where settings are read from, and what is said when one is wrong.

``plantao.toml`` has a table for each section of ``config.sections``. The environment overrides it:
``PLANTAO_SECTION__KEY`` sets ``key`` of ``[section]`` (a list or table as JSON), and a secret may also come from the
file that ``PLANTAO_SECTION__KEY_FILE`` names. ``data`` and ``runtime`` belong to no section: ``PLANTAO_DATA``,
``PLANTAO_RUNTIME``. There is no global settings object: ``load`` returns one, and it is handed on.
"""

import ipaddress
import os
import re
import tomllib
import types
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from config.runtime import default_runtime, in_memory
from config.sections import SECRETS, Settings
from protocol.errors import InvalidInputError

__all__ = ["Settings", "SettingsError", "load"]

PREFIX: Final = "PLANTAO_"
DATA: Final = Path("data")
_TOP: Final = {"data": Path, "runtime": Path}
_SECTIONS: Final[dict[str, dict[str, Any]]] = {
    field.name: get_type_hints(field.type, include_extras=True)
    for field in msgspec.structs.fields(Settings)
    if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
}


class SettingsError(InvalidInputError):
    """The setting ``key`` (as ``section.key``) from ``source``, a file or variable, is not what was ``expected``."""

    def __init__(self, source: str, key: str, expected: str) -> None:
        super().__init__(key, expected)
        self.source = source

    def __str__(self) -> str:
        return f"{self.source}: {super().__str__()}"


def load(config: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of the file ``config`` (None: no file), overridden by ``environ``. Creates nothing.

    Raises:
        SettingsError: unreadable, an unknown key, a wrong type or value; names source, key and what was expected.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if config is not None:
        for key, value in _read(config):
            values[key] = _convert(str(config), key, value, strict=True)
            sources[key] = str(config)
    for source, key, text in _overrides(environ):
        values[key] = _from_text(source, key, text)
        sources[key] = source
    settings = _assemble(values)
    for key, holds, expected in _CHECKS:
        if not holds(settings):
            raise SettingsError(sources.get(key, "default"), key, expected)
    return settings


def environment(data: Path | None) -> dict[str, str]:
    """This process's, with ``data`` (if it is given) as the data directory."""
    return {**os.environ, **({} if data is None else {"PLANTAO_DATA": str(data)})}


def _assemble(values: Mapping[str, Any]) -> Settings:
    data = Path(values.get("data", DATA)).absolute()
    runtime = values.get("runtime")
    place = default_runtime(data, os.geteuid()) if runtime is None else Path(runtime).absolute()
    sections: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
    for key, value in values.items():
        if "." in key:
            section, name = key.split(".")
            sections[section][name] = value
    built = {
        field.name: field.type(**sections[field.name])
        for field in msgspec.structs.fields(Settings)
        if field.name in sections
    }
    return Settings(data=data, runtime=place, runtime_in_memory=in_memory(place), **built)


# -- the file --


def _read(config: Path) -> list[tuple[str, Any]]:
    """The file's settings as pairs of ``section.key`` and value."""
    source = str(config)
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(source, "config", f"a readable file: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of thousands of digits, thousands of [
        raise SettingsError(source, "config", f"valid TOML in UTF-8: {error}") from error
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        if name in _TOP:
            found.append((name, value))
        elif name not in _SECTIONS:
            raise _unknown(source, name, [*_TOP, *_SECTIONS])
        elif not isinstance(value, dict):
            raise SettingsError(source, name, f"a table, [{name}]")
        else:
            for key, inner in value.items():
                if key not in _SECTIONS[name]:
                    raise _unknown(source, f"{name}.{key}", [f"{name}.{known}" for known in _SECTIONS[name]])
                found.append((f"{name}.{key}", inner))
    return found


def _unknown(source: str, key: str, known: list[str]) -> SettingsError:
    near = get_close_matches(key, known, n=1) or get_close_matches(key, _all_keys(), n=1)
    hint = f"a known setting, perhaps {near[0]}" if near else f"a known setting, one of {', '.join(known)}"
    return SettingsError(source, key, hint)


def _all_keys() -> list[str]:
    return [*_TOP, *(f"{section}.{key}" for section, keys in _SECTIONS.items() for key in keys)]


# -- the environment --


def _overrides(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Settings in ``environ`` as triples of variable, key and text; the text of a ``_FILE`` is its file's.

    Variables without a double underscore are not ours to judge: Kubernetes makes ``PLANTAO_PORT`` and the like for a
    service of that name.
    """
    found: list[tuple[str, str, str]] = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        name = variable.removeprefix(PREFIX).lower()
        if name in _TOP:
            found.append((variable, name, environ[variable]))
        elif "__" in name:
            found.append(_override(variable, name.replace("__", ".", 1), environ))
    return found


def _override(variable: str, key: str, environ: Mapping[str, str]) -> tuple[str, str, str]:
    keys = _all_keys()
    if key in keys:
        return variable, key, environ[variable]
    secret = key.removesuffix("_file")
    if secret == key or secret not in SECRETS:
        raise _unknown(variable, key, keys)
    if variable.removesuffix("_FILE") in environ:
        raise SettingsError(variable, secret, f"only one of {variable} and {variable.removesuffix('_FILE')}")
    try:
        return variable, secret, Path(environ[variable]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(variable, secret, "the path of a readable text file") from error


def _from_text(source: str, key: str, text: str) -> Any:
    kind = _type_of(key)
    holder = get_origin(get_args(kind)[0] if get_origin(kind) is Annotated else kind)
    if holder in (list, dict):
        try:
            return _convert(source, key, msgspec.json.decode(text), strict=True)
        except msgspec.DecodeError as error:
            example = '["a", "b"]' if holder is list else '{"NAME": "value"}'
            raise SettingsError(source, key, f"JSON such as {example}") from error
    return _convert(source, key, text, strict=False)


# -- one value --

_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def _type_of(key: str) -> Any:
    section, _, name = key.partition(".")
    return _SECTIONS[section][name] if name else _TOP[section]


def _convert(source: str, key: str, value: Any, *, strict: bool) -> Any:
    kind = _type_of(key)
    try:
        return msgspec.convert(value, kind, strict=strict, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(source, key, _expected(kind, str(error))) from error


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise ValueError("Expected a path in the home of a user that there is") from error
    raise ValueError("Expected a path")


def _expected(kind: Any, message: str) -> str:
    """msgspec's message in words for a person; choices are listed."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = get_args(kind)[0]
    choices = get_args(kind) if get_origin(kind) is Literal else [str(member.value) for member in _members(kind)]
    if choices:
        return f"one of {', '.join(choices)}"
    said = re.sub(r" - at `[^`]*`$", "", message).removeprefix("Expected ")
    return re.sub(r"`(\w+)( \| null)?`", lambda found: _WORDS.get(found[1], found[1]), said)


def _members(kind: Any) -> list[Any]:
    return list(getattr(kind, "__members__", {}).values())


# -- values that must go together --


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return not text or (parts.scheme in schemes and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


def _collector(url: str) -> bool:
    return _url(url, ("https",)) or (_url(url, ("http",)) and _loopback(urlsplit(url).hostname or ""))


def _one_key(settings: Settings) -> bool:
    keys = settings.keys
    return sum((bool(keys.master), keys.master_file is not None, bool(keys.master_command))) <= 1


def _one_next_key(settings: Settings) -> bool:
    keys = settings.keys
    return sum((bool(keys.next_master), keys.next_master_file is not None, bool(keys.next_master_command))) <= 1


_CHECKS: Final[tuple[tuple[str, Callable[[Settings], bool], str], ...]] = (
    (
        "http.host",
        lambda s: _loopback(s.http.host) or s.http.certificate is not None,
        "a loopback address such as 127.0.0.1, or TLS: set http.certificate and http.key",
    ),
    (
        "http.key",
        lambda s: (s.http.key is None) == (s.http.certificate is None),
        "the certificate's private key: http.certificate and http.key go together",
    ),
    (
        "nats.host",
        lambda s: _loopback(s.nats.host) or s.nats.certificate is not None,
        "a loopback address such as 127.0.0.1, or TLS: set nats.certificate and nats.key",
    ),
    (
        "nats.key",
        lambda s: (s.nats.key is None) == (s.nats.certificate is None),
        "the certificate's private key: nats.certificate and nats.key go together",
    ),
    ("nats.port", lambda s: s.nats.port != 0, "a port, or -1 for a free one"),
    (
        "nats.url",
        lambda s: _url(s.nats.url, ("nats", "tls", "ws", "wss")),
        "a URL such as nats://host:4222, or nothing for the embedded broker",
    ),
    (
        "whatsapp.proxy",
        lambda s: _url(s.whatsapp.proxy, ("http", "https", "socks5")),
        "a URL such as http://host:3128 or socks5://host:1080, or nothing",
    ),
    (
        "whatsapp.port_command",
        lambda s: bool(s.whatsapp.port_command) and all(s.whatsapp.port_command),
        "the program and its arguments, none of them empty",
    ),
    ("reconnect.cap", lambda s: s.reconnect.cap >= s.reconnect.base, "at least reconnect.base"),
    ("outbox.backoff_cap", lambda s: s.outbox.backoff_cap >= s.outbox.backoff_base, "at least outbox.backoff_base"),
    ("keys.master", _one_key, "only one of keys.master, keys.master_file and keys.master_command"),
    (
        "keys.master_command",
        lambda s: all(s.keys.master_command),
        "the program and its arguments, none of them empty",
    ),
    (
        "keys.next_master",
        _one_next_key,
        "only one of keys.next_master, keys.next_master_file and keys.next_master_command",
    ),
    (
        "keys.next_master_command",
        lambda s: all(s.keys.next_master_command),
        "the program and its arguments, none of them empty",
    ),
    (
        "telemetry.endpoint",
        lambda s: _collector(s.telemetry.endpoint),
        "a URL such as http://127.0.0.1:4318, or https://collector.example beyond loopback, or nothing",
    ),
    (
        "vault.require_memory",
        lambda s: s.runtime_in_memory or not s.vault.require_memory,
        "false, or a runtime directory on a tmpfs: mount one there, or set runtime to a directory on one",
    ),
    ("outbox.in_flight", lambda s: s.outbox.in_flight <= s.outbox.window, "at most outbox.window"),
)
