"""The board: what the registry wants, and the last snapshot of every clinic and channel, so that a look never waits for
an actor; and the word that a command has ended, for who waits for that.

Actors write, the loop reads. Every method is callable from any thread and returns at once.
"""

import threading
from collections.abc import Callable, Iterable

from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ChannelSnapshot, ClinicSnapshot

Key = tuple[str, str]


class Board:
    """Listeners are called in the writer's thread and must only pass the word on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: Wanted | None = None
        self._awaiting_wanted: list[Callable[[], None]] = []
        self._clinics: dict[str, ClinicSnapshot] = {}
        self._channels: dict[Key, ChannelSnapshot] = {}
        self._records: dict[Key, ChannelRecord] = {}
        self._troubles: dict[Key, str] = {}
        self._waiting: dict[tuple[str, str, str], list[Callable[[], None]]] = {}
        self._listeners: list[Callable[[], None]] = []

    def put_wanted(self, wanted: Wanted) -> None:
        """What the registry wants now."""
        with self._lock:
            self._wanted = wanted
            told, self._awaiting_wanted = self._awaiting_wanted, []
        for one in told:
            one()
        self._changed()

    def wanted(self) -> Wanted | None:
        """What the registry was last known to want; None: it has not been read yet, and so nothing is known to be
        there or not."""
        with self._lock:
            return self._wanted

    def when_read(self, told: Callable[[], None]) -> None:
        """Call ``told`` once the registry has been read: now, or later in the writer's thread."""
        with self._lock:
            if self._wanted is None:
                self._awaiting_wanted.append(told)
                return
        told()

    def put_clinic(self, snapshot: ClinicSnapshot) -> None:
        """How a clinic is now."""
        with self._lock:
            self._clinics[snapshot.id] = snapshot
        self._changed()

    def put_channel(self, snapshot: ChannelSnapshot) -> None:
        """How a channel is now."""
        with self._lock:
            self._channels[snapshot.clinic, snapshot.channel] = snapshot
        self._changed()

    def drop_clinic(self, clinic: str) -> None:
        """The clinic is no more, nor are its channels."""
        with self._lock:
            self._clinics.pop(clinic, None)
            self._channels = {key: shown for key, shown in self._channels.items() if key[0] != clinic}
            self._records = {key: record for key, record in self._records.items() if key[0] != clinic}
            self._troubles = {key: reason for key, reason in self._troubles.items() if key[0] != clinic}
        self._changed()

    def drop_channel(self, clinic: str, channel: str) -> None:
        """The channel is no more."""
        with self._lock:
            self._channels.pop((clinic, channel), None)
            self._records.pop((clinic, channel), None)
            self._troubles.pop((clinic, channel), None)
        self._changed()

    def clinics(self) -> list[ClinicSnapshot]:
        """All, by id."""
        with self._lock:
            return [self._clinics[clinic] for clinic in sorted(self._clinics)]

    def clinic(self, clinic: str) -> ClinicSnapshot | None:
        """One."""
        with self._lock:
            return self._clinics.get(clinic)

    def channels(self, clinic: str | None = None) -> list[ChannelSnapshot]:
        """All, or a clinic's; by clinic and id."""
        with self._lock:
            return [self._channels[key] for key in sorted(self._channels) if clinic in (None, key[0])]

    def channel(self, clinic: str, channel: str) -> ChannelSnapshot | None:
        """One."""
        with self._lock:
            return self._channels.get((clinic, channel))

    def put_trouble(self, clinic: str, channel: str, reason: str | None) -> None:
        """Why a channel can store nothing; None: it can."""
        with self._lock:
            if reason is None:
                self._troubles.pop((clinic, channel), None)
            else:
                self._troubles[clinic, channel] = reason
        self._changed()

    def trouble(self, clinic: str) -> str | None:
        """Why a channel of the clinic, and so the clinic, can store nothing; None if all can."""
        with self._lock:
            return next((reason for (of, _), reason in self._troubles.items() if of == clinic), None)

    def put_record(self, record: ChannelRecord) -> None:
        """How a channel is wanted to be, by which it begins when it is started again."""
        with self._lock:
            self._records[record.clinic, record.id] = record

    def record(self, clinic: str, channel: str) -> ChannelRecord | None:
        """How a channel was last wanted to be."""
        with self._lock:
            return self._records.get((clinic, channel))

    def ended(self, clinic: str, channel: str, ids: Iterable[str]) -> None:
        """The ledger has the end of a run of these commands."""
        if not self._waiting:  # as nearly always, and this is said of every command
            return
        with self._lock:
            told = [one for each in ids for one in self._waiting.get((clinic, channel, each), ())]
        for one in told:
            one()

    def on_ended(self, clinic: str, channel: str, id: str, told: Callable[[], None]) -> Callable[[], None]:
        """Call ``told``, in the thread of who says so, whenever a run of the command ends; returns what ends that."""
        key = (clinic, channel, id)
        with self._lock:
            self._waiting.setdefault(key, []).append(told)

        def stop() -> None:
            with self._lock:
                self._waiting[key].remove(told)
                if not self._waiting[key]:
                    del self._waiting[key]

        return stop

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after every change; returns what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return stop

    def _changed(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()
