"""The NATS accounts of a node: their credentials, and the configuration of a server that knows them.

=============  ===========================  ==================================================================
account        logins                       what it is for
=============  ===========================  ==================================================================
``plantao``    ``plantao``                  the registry
``platform``   ``plantao``, ``service``     trusted services that serve many clinics; imports every clinic's subjects
``clinic-<c>`` ``plantao``, ``service``     one clinic: its streams, and its own services
=============  ===========================  ==================================================================

An account per clinic, because permissions inside one account do not isolate: NATS does not check reply subjects, so
whoever may call any JetStream API can have the server call a forbidden one. For the same reason the denials below keep
a clinic's service from mistakes, not from malice against its own clinic.

Everything here is pure but ``load`` and ``save``.
"""

import json
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
from msgspec import Meta, Struct

from gateway import disk
from protocol import subjects
from protocol.errors import InvalidInputError, NotFoundError
from protocol.ids import check_name

MAX_PAYLOAD: Final = 2 << 20
"""Bytes of body and headers in one message: a dead letter holds a whole body of 1 MiB, in base64 if it is JSON."""

_OVERCOMMIT: Final = 1 << 50
_MAX_MEMORY: Final = 256 << 20
_LOG_BYTES: Final = 10 << 20
_MAX_STREAMS: Final = 64
_CLINIC_PREFIX: Final = subjects.account("")
_PRINTABLE: Final = r"\A[!#-\[\]-~]{1,256}\Z"
"""Visible ASCII without the double quote and the backslash, which would end a string in the configuration."""

Word = Annotated[str, Meta(pattern=_PRINTABLE)]


class Role(StrEnum):
    """Whose login it is: Plantão's own, or that of the services which use it."""

    PLANTAO = "plantao"
    SERVICE = "service"


class Credential(Struct, frozen=True):
    """A user of an account. User names are unique over all accounts."""

    user: Word
    password: Word

    def __repr__(self) -> str:
        return f"Credential(user={self.user!r})"


class Accounts(Struct, frozen=True):
    """All credentials; in the file, ``{"v": 1, "accounts": {name: {role: {"user", "password"}}}}``."""

    v: Literal[1]
    accounts: dict[str, dict[Role, Credential]]

    @classmethod
    def fresh(cls) -> Self:
        """The accounts of a node that has no clinics yet, with new passwords."""
        return cls(
            v=1,
            accounts={
                subjects.ACCOUNT_NODE: _credentials(subjects.ACCOUNT_NODE, Role.PLANTAO),
                subjects.ACCOUNT_PLATFORM: _credentials(subjects.ACCOUNT_PLATFORM, *Role),
            },
        )

    @property
    def clinics(self) -> list[str]:
        """The clinics that have an account, by id."""
        return sorted(name.removeprefix(_CLINIC_PREFIX) for name in self.accounts if name.startswith(_CLINIC_PREFIX))

    def with_clinic(self, clinic: str) -> "Accounts":
        """These and an account for ``clinic``; the same object if it has one. Raises InvalidIdError."""
        name = subjects.account(check_name("clinic", clinic))
        if name in self.accounts:
            return self
        return Accounts(v=1, accounts={**self.accounts, name: _credentials(name, *Role)})

    def without_clinic(self, clinic: str) -> "Accounts":
        """These without the account of ``clinic``; the same object if it has none."""
        name = subjects.account(clinic)
        if name not in self.accounts:
            return self
        return Accounts(v=1, accounts={key: value for key, value in self.accounts.items() if key != name})

    def find(self, account: str, role: Role) -> Credential:
        """Raises NotFoundError, naming the account and the login."""
        try:
            return self.accounts[account][role]
        except KeyError:
            raise NotFoundError(f"login {role} of the NATS account {account}") from None


def load(path: Path) -> Accounts | None:
    """The accounts in ``path``; None if there is no such file.

    Raises:
        InvalidInputError: it is not an accounts file; names it and what is wrong in it.
    """
    try:
        loaded = msgspec.json.decode(path.read_bytes(), type=Accounts)
        for clinic in loaded.clinics:
            check_name("clinic", clinic)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise InvalidInputError(str(path), f"a file of NATS accounts ({error})") from error
    return loaded


def save(path: Path, accounts: Accounts) -> None:
    """Replace ``path`` by ``accounts``, readable by its owner alone."""
    disk.write(path, msgspec.json.format(msgspec.json.encode(accounts), indent=1) + b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server lives: the directory of all its files, its port on loopback (-1: any free one) and the most that
    a clinic's account may store, in bytes."""

    directory: Path
    port: int
    clinic_bytes: int


def server_config(accounts: Accounts, place: Place) -> str:
    """The configuration of an embedded nats-server.

    Raises:
        InvalidInputError: a name or a path that cannot be written into it.
    """
    directory = place.directory
    lines = [
        'host: "127.0.0.1"',
        f"port: {place.port:d}",
        'server_name: "plantao"',
        f"max_payload: {MAX_PAYLOAD}",
        f"pid_file: {_quoted(directory / 'server.pid')}",
        f"ports_file_dir: {_quoted(directory / 'ports')}",
        f"log_file: {_quoted(directory / 'server.log')}",
        f"logfile_size_limit: {_LOG_BYTES}",
        "logfile_max_num: 3",
        "jetstream {",
        f"  store_dir: {_quoted(directory)}",
        # The server refuses accounts whose quotas add up to more than this. Quotas are ceilings, not reservations:
        # clinics together may be promised more than the disk holds.
        f"  max_file_store: {_OVERCOMMIT}",
        f"  max_memory_store: {_MAX_MEMORY}",
        "}",
        "accounts {",
        *_node_account(accounts),
        *_platform_account(accounts),
    ]
    for clinic in accounts.clinics:
        lines += _clinic_account(accounts, check_name("clinic", clinic), place.clinic_bytes)
    return "\n".join([*lines, "}", ""])


def _node_account(accounts: Accounts) -> list[str]:
    return [f"  {subjects.ACCOUNT_NODE} {{", "    jetstream: enabled", *_users(accounts, subjects.ACCOUNT_NODE), "  }"]


def _platform_account(accounts: Accounts) -> list[str]:
    name = subjects.ACCOUNT_PLATFORM
    imports = [
        f"      {{ {kind}: {{ account: {subjects.account(clinic)}, subject: {_quoted(subject)} }} }}"
        for clinic in accounts.clinics
        for kind, subject in _shared(check_name("clinic", clinic))
    ]
    denied = [*_published_by_plantao("*"), *_stream_changes(subjects.STREAM_EVENTS)]
    return [
        f"  {name} {{",
        "    jetstream: enabled",
        *_users(accounts, name, denied),
        "    imports: [",
        *imports,
        "    ]",
        "  }",
    ]


def _clinic_account(accounts: Accounts, clinic: str, max_bytes: int) -> list[str]:
    name = subjects.account(clinic)
    denied = [*_published_by_plantao(clinic), *_media_changes()]
    for stream in (subjects.STREAM_SEND, subjects.STREAM_LATER, subjects.STREAM_EVENTS, subjects.STREAM_DEAD):
        denied += _stream_changes(stream)
    for stream in (subjects.STREAM_SEND, subjects.STREAM_LATER):
        denied += _consuming(stream)
    exports = [
        f"      {{ {kind}: {_quoted(subject)}, accounts: [{subjects.ACCOUNT_PLATFORM}] }}"
        for kind, subject in _shared(clinic)
    ]
    return [
        f"  {name} {{",
        f"    jetstream: {{ max_file: {max_bytes:d}, max_streams: {_MAX_STREAMS} }}",
        *_users(accounts, name, denied),
        "    exports: [",
        *exports,
        "    ]",
        "  }",
    ]


def _users(accounts: Accounts, account: str, denied: list[str] | None = None) -> list[str]:
    lines = ["    users: ["]
    for role, credential in sorted(accounts.accounts.get(account, {}).items()):
        permissions = ""
        if role is Role.SERVICE and denied:
            subjects_denied = ", ".join(_quoted(subject) for subject in denied)
            permissions = f", permissions: {{ publish: {{ deny: [{subjects_denied}] }} }}"
        login = f"user: {_quoted(credential.user)}, password: {_quoted(credential.password)}"
        lines.append(f"      {{ {login}{permissions} }}")
    return [*lines, "    ]"]


def _shared(clinic: str) -> list[tuple[str, str]]:
    """What ``platform`` may use of a clinic: (service or stream, subject)."""
    root = subjects.channel_root(clinic, "*")
    return [
        ("service", f"{root}.send"),
        ("service", f"{root}.send.*"),
        ("service", f"{root}.rpc.*"),
        ("service", f"clinic.{clinic}.rpc.*"),
        ("stream", f"{root}.event.>"),
        ("stream", f"{root}.dead"),
    ]


def _published_by_plantao(clinic: str) -> list[str]:
    root = subjects.channel_root(clinic, "*")
    return [f"{root}.event.>", f"{root}.dead", f"{root}.later.>", f"{root}.due"]


def _stream_changes(stream: str) -> list[str]:
    api = "$JS.API.STREAM"
    return [f"{api}.{verb}.{stream}" for verb in ("UPDATE", "DELETE", "PURGE", "RESTORE", "MSG.DELETE")]


def _media_changes() -> list[str]:
    """Purging stays allowed: clients purge the chunks of an object that they replace."""
    return [f"$JS.API.STREAM.{verb}.OBJ_{subjects.MEDIA_BUCKET}" for verb in ("UPDATE", "DELETE", "RESTORE")]


def _consuming(stream: str) -> list[str]:
    """Also by the old request that names no consumer, and acknowledging, which takes a message out of a work queue."""
    api = "$JS.API.CONSUMER"
    verbs = ("CREATE", "DURABLE.CREATE", "DELETE", "PAUSE", "MSG.NEXT")
    return [f"{api}.CREATE.{stream}", *(f"{api}.{verb}.{stream}.>" for verb in verbs), f"$JS.ACK.{stream}.>"]


def _quoted(value: str | Path) -> str:
    text = str(value)
    if not text.isprintable():
        raise InvalidInputError("nats", f"printable characters, got {text[:64]!r}")
    return json.dumps(text, ensure_ascii=False)


def _credentials(account: str, *roles: Role) -> dict[Role, Credential]:
    return {role: Credential(f"{account}.{role}", secrets.token_hex(24)) for role in roles}
