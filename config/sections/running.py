"""Settings of the node as a program."""

from typing import Literal

from msgspec import Struct

from config.sections.bounds import Count, Deadline, Pause, Seconds


class Log(Struct, frozen=True, kw_only=True):
    """The log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: this and what matters more."""
    format: Literal["auto", "json", "console"] = "auto"
    """``json`` for machines, ``console`` for a person; ``auto``: console if it is a terminal."""


class Telemetry(Struct, frozen=True, kw_only=True):
    """The way of each command as OpenTelemetry spans; takes the extra ``plantao[otel]``. Ids of commands and clinics go
    with them, no number and no text."""

    endpoint: str = ""
    """The collector, by OTLP over HTTP (``http://127.0.0.1:4318``); beyond loopback ``https`` only. Empty: none."""


class Threads(Struct, frozen=True, kw_only=True):
    """On which processors the node runs; ports and the broker use all there are."""

    one_cpu: bool = True
    """The node's own threads share one CPU (``supervisor.affinity`` says why), and move when others need it."""


class Supervision(Struct, frozen=True, kw_only=True):
    """When actors are given up and parked."""

    hang: Deadline = 30.0
    """An actor that is at a single message for so long is replaced."""
    quarantine_restarts: Count = 5
    """A clinic or channel that had to be restarted more often than this within ``supervision.quarantine_period`` is
    quarantined."""
    quarantine_period: Pause = 60.0
    """Over how long restarts are counted for that."""
    quarantine_release: Seconds = 600.0
    """After which it is released; 0: by a person alone."""


class Shutdown(Struct, frozen=True, kw_only=True):
    """How the node ends when it is told to (SIGTERM). First it drains: it takes no more commands, and what is with
    WhatsApp already may come to its end. Then all parts end. Whoever stops the node should give it a little more than
    both times together."""

    drain_s: Seconds = 10.0
    """How long draining may take at most (0: there is none)."""
    deadline_s: Deadline = 20.0
    """After which, from the end of draining, what has not ended in an orderly way is ended by force."""
