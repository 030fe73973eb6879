"""Settings read again while the node runs: by SIGHUP, and by ``plantao reload``.

All or nothing: everything that is new is judged first, by whoever has to go by it, and only then does anybody.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import asdict, replace

from config.sections import Pacing, Settings
from protocol.reloading import Reloaded

log = structlog.get_logger(__name__)

Reread = Callable[[], Settings]
"""Reads files and environment, as at the start. Blocks. Raises SettingsError."""
Taker = Callable[[Settings], Callable[[], None]]
"""Judges settings to come: raises InvalidInputError, or returns what has them hold, which cannot fail. Any thread."""

RELOADABLE: Final = frozenset(
    {
        "calls.media_timeout",
        "events.from_me",
        "http.allowed_origins",
        "http.certificate",
        "http.hosts",
        "http.key",
        "http.requests_per_address",
        "http.requests_per_key",
        "inbox.opt_in_words",
        "inbox.opt_out_words",
        "limits.channels_per_clinic",
        "limits.commands_per_s",
        "limits.media_bytes",
        "log.format",
        "log.level",
        *(f"pacing.{field.name}" for field in msgspec.structs.fields(Pacing)),
        "shutdown.deadline_s",
        "shutdown.drain_s",
    }
)
"""What can change while the node runs; all else takes a restart. The certificate's files are always read again."""
TLS: Final = frozenset({"http.certificate", "http.key"})
"""Whether it is served with TLS at all cannot change."""


def compare(now: Settings, read: Settings) -> Reloaded:
    """What differs, by what can be done about it."""
    changed: list[str] = []
    restart: list[str] = []
    for key, before, after in _differences(now, read):
        switches_tls = key in TLS and None in (before, after)
        (changed if key in RELOADABLE and not switches_tls else restart).append(key)
    return Reloaded(changed=changed, restart=restart)


def merge(now: Settings, read: Settings, changed: Sequence[str]) -> Settings:
    """``now``, with what is ``changed`` in it as it was ``read``."""
    for key in changed:
        section, _, name = key.partition(".")
        value = getattr(getattr(read, section), name)
        now = replace(now, **{section: replace(getattr(now, section), **{name: value})})
    return now


def _differences(now: Settings, read: Settings) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for name, before in asdict(replace(now, runtime_in_memory=read.runtime_in_memory)).items():  # found out, not set
        after = getattr(read, name)
        if isinstance(before, msgspec.Struct):
            found += [(f"{name}.{key}", value, getattr(after, key)) for key, value in asdict(before).items()]
        else:
            found.append((name, before, after))
    return sorted(difference for difference in found if difference[1] != difference[2])


class Reload:
    """Implements ``protocol.reloading.Reloading``. ``settings`` are those that hold by now. In any thread."""

    def __init__(self, settings: Settings, reread: Reread) -> None:
        self.settings = settings
        self._reread = reread
        self._takers: tuple[Taker, ...] = ()
        self._lock = threading.Lock()

    def join(self, *takers: Taker) -> None:
        """These go by the settings, too."""
        self._takers += takers

    async def reload(self) -> Reloaded:
        """See ``Reloading``."""
        return await asyncio.to_thread(self.now)

    def now(self) -> Reloaded:
        """The same; blocks while it reads files."""
        with self._lock:
            read = self._reread()
            came = compare(self.settings, read)
            settings = merge(self.settings, read, came.changed)
            holds = [taker(settings) for taker in self._takers]
            self.settings = settings
            for hold in holds:
                hold()
        log.info("settings read again", changed=came.changed)
        if came.restart:
            log.warning("settings differ that take a restart", restart=came.restart)
        return came
