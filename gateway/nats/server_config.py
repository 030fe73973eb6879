"""The configuration of a nats-server that knows the accounts: the embedded one's whole, and what any other has to
include. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.nats.accounts import MAX_PAYLOAD, Accounts, Credential, Issued, Role
from gateway.nats.permissions import allowed
from protocol import subjects
from protocol.errors import InvalidInputError
from protocol.ids import check_name

SYSTEM_ACCOUNT: Final = "SYS"
"""Where ``$SYS.>`` lives; nobody has a login to it."""

_OVERCOMMIT: Final = 1 << 50
_LOG_BYTES: Final = 10 << 20
_MAX_PENDING: Final = 32 << 20
"""Bytes that the server holds for a client which does not read; then it is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicQuota:
    """What a clinic's account may have at most: bytes stored on disk and in memory, streams, consumers of each stream,
    connections, and subscriptions of all of them."""

    file_bytes: int = 2 << 30
    memory_bytes: int = 16 << 20
    streams: int = 16
    consumers: int = 1000
    connections: int = 64
    subscriptions: int = 4096


@dataclass(frozen=True, slots=True)
class Tls:
    """With what the server shows who it is: files in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An embedded server: the directory of all its files, where it listens (``port`` -1: any free one) and what a
    clinic may have there. ``key`` (hex) encrypts what JetStream stores."""

    directory: Path
    port: int
    key: str = field(repr=False)
    host: str = "127.0.0.1"
    tls: Tls | None = None
    quota: ClinicQuota = ClinicQuota()


def server_config(accounts: Accounts, server: Server) -> str:
    """The configuration of an embedded nats-server: a secret.

    Raises:
        InvalidInputError: a name or a path that cannot be written into it.
    """
    directory = server.directory
    lines = [
        f"host: {_quoted(server.host)}",
        f"port: {server.port:d}",
        'server_name: "plantao"',
        f"pid_file: {_quoted(directory / 'server.pid')}",
        f"ports_file_dir: {_quoted(directory / 'ports')}",
        f"log_file: {_quoted(directory / 'server.log')}",
        f"logfile_size_limit: {_LOG_BYTES}",
        "logfile_max_num: 3",
        "jetstream {",
        f"  store_dir: {_quoted(directory)}",
        # AES-GCM as everywhere here: processors that serve have it in hardware. What an earlier version stored without
        # a key is encrypted as the server starts.
        "  cipher: aes",
        f"  key: {_quoted(server.key)}",
        # The server refuses accounts whose quotas add up to more than this. Quotas are ceilings, not reservations:
        # clinics together may be promised more than the disk holds.
        f"  max_file_store: {_OVERCOMMIT}",
        f"  max_memory_store: {_OVERCOMMIT}",
        "}",
    ]
    if server.tls is not None:
        files = f"cert_file: {_quoted(server.tls.certificate)}, key_file: {_quoted(server.tls.key)}"
        lines.append(f"tls {{ {files} }}")
    return "\n".join([*lines, accounts_config(accounts, server.quota)])


def accounts_config(accounts: Accounts, quota: ClinicQuota) -> str:
    """What any nats-server needs to know to serve the accounts; JetStream is not in it. A secret.

    Raises:
        InvalidInputError: a name that cannot be written into it.
    """
    lines = [
        f"max_payload: {MAX_PAYLOAD}",
        f"max_pending: {_MAX_PENDING}",
        f"system_account: {SYSTEM_ACCOUNT}",
        "accounts {",
        f"  {SYSTEM_ACCOUNT} {{ users: [] }}",
        *_node_account(accounts),
        *_platform_account(accounts),
    ]
    for clinic in accounts.clinics:
        lines += _clinic_account(accounts, check_name("clinic", clinic), quota)
    return "\n".join([*lines, "}", ""])


def _node_account(accounts: Accounts) -> list[str]:
    users = _users(accounts, subjects.ACCOUNT_NODE)
    return [f"  {subjects.ACCOUNT_NODE} {{", "    jetstream: enabled", *users, "  }"]


def _platform_account(accounts: Accounts) -> list[str]:
    name = subjects.ACCOUNT_PLATFORM
    imports = [
        f"      {{ {kind}: {{ account: {subjects.account(clinic)}, subject: {_quoted(subject)} }} }}"
        for clinic in accounts.clinics
        for kind, subject in _shared(check_name("clinic", clinic))
    ]
    return [
        f"  {name} {{",
        "    jetstream: enabled",
        *_users(accounts, name),
        "    imports: [",
        *imports,
        "    ]",
        "  }",
    ]


def _clinic_account(accounts: Accounts, clinic: str, quota: ClinicQuota) -> list[str]:
    name = subjects.account(clinic)
    exports = [
        f"      {{ {kind}: {_quoted(subject)}, accounts: [{subjects.ACCOUNT_PLATFORM}] }}"
        for kind, subject in _shared(clinic)
    ]
    return [
        f"  {name} {{",
        f"    jetstream: {{ max_file: {quota.file_bytes:d}, max_mem: {quota.memory_bytes:d}, "
        f"max_streams: {quota.streams:d}, max_consumers: {quota.consumers:d} }}",
        f"    limits: {{ max_connections: {quota.connections:d}, max_subscriptions: {quota.subscriptions:d}, "
        "max_leafnodes: 0 }",
        *_users(accounts, name),
        "    exports: [",
        *exports,
        "    ]",
        "  }",
    ]


def _users(accounts: Accounts, account: str) -> list[str]:
    own = accounts.accounts.get(account, {}).get(Role.PLANTAO)
    users = [] if own is None else [_user(own, "")]
    if account != subjects.ACCOUNT_NODE and account in accounts.accounts:
        users += [_user(_credential(login), _permissions(account, login)) for login in _logins(accounts, account)]
    return ["    users: [", *users, "    ]"]


def _logins(accounts: Accounts, account: str) -> Iterator[Issued | Credential]:
    for _, login in sorted(accounts.logins(account).items()):
        yield login


def _credential(login: Issued | Credential) -> Credential:
    return login.credential if isinstance(login, Issued) else login


def _user(credential: Credential, permissions: str) -> str:
    return f"      {{ user: {_quoted(credential.user)}, password: {_quoted(credential.password)}{permissions} }}"


def _permissions(account: str, login: Issued | Credential) -> str:
    may = allowed(account, login)
    publish, subscribe = (", ".join(_quoted(subject) for subject in part) for part in (may.publish, may.subscribe))
    return f", permissions: {{ publish: {{ allow: [{publish}] }}, subscribe: {{ allow: [{subscribe}] }} }}"


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


def _quoted(value: str | Path) -> str:
    text = str(value)
    if not text.isprintable():
        raise InvalidInputError("nats", f"printable characters, got {text[:64]!r}")
    return json.dumps(text, ensure_ascii=False)
