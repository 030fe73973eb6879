"""Settings of what is around the node: its admin endpoint and its broker."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from config.sections.bounds import HostName, Origin, Requests


class Http(Struct, frozen=True, kw_only=True):
    """The admin endpoint. It answers under the loopback's names, the address that was connected to, ``host``, and
    ``hosts``. Limits count requests; 0: no limit. The key in ``admin.key`` has none."""

    host: str = "127.0.0.1"
    """Where it listens; any but loopback needs ``http.certificate`` and ``http.key``."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    """Its port; 0 takes a free one."""
    certificate: Path | None = None
    """Its certificate with the chain, a PEM file; switches TLS on."""
    key: Path | None = None
    """The certificate's private key, a PEM file without a password."""
    hosts: Annotated[list[HostName], Meta(max_length=100)] = msgspec.field(default_factory=list)
    """Further names under which it answers, such as that of a proxy before it."""
    allowed_origins: Annotated[list[Origin], Meta(max_length=100)] = msgspec.field(default_factory=list)
    """Whose web pages may use it (``https://painel.example``); those of any other may not."""
    requests_per_address: Requests = 100
    """In 15 minutes from an address without a good key; for ``/health`` there is no limit."""
    requests_per_key: Requests = 1000
    """In an hour with a key that was made without a limit of its own; ten times as many with all keys of a clinic."""
    ready_per_minute: Requests = 1200
    """Of ``/ready`` in a minute from an address without a good key."""


class Nats(Struct, frozen=True, kw_only=True):
    """The broker: embedded, on loopback, unless ``url`` names another."""

    url: str = ""
    """An external server (``nats://``, ``tls://``, ``ws://``, ``wss://``); empty: the embedded one. May hold a
    password."""
    host: str = "127.0.0.1"
    """Where the embedded one listens; any but loopback needs ``nats.certificate`` and ``nats.key``."""
    certificate: Path | None = None
    """The embedded one's certificate with the chain, a PEM file; switches TLS on."""
    key: Path | None = None
    """The certificate's private key, a PEM file."""
    ca: Path | None = None
    """Authorities (PEM) that vouch for an external server at a ``tls`` URL; none: those of this machine."""
    port: Annotated[int, Meta(ge=-1, le=65_535)] = 4222
    """The embedded one's port; -1 takes a free one."""
    accounts_file: Path | None = None
    """The credentials of each account on an external server, in clear, as ``plantao nats config`` writes them."""
