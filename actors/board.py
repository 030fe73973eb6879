"""The board: the last snapshot of every clinic and channel, so that a look never waits for an actor.

Actors write, the loop reads. Every method is callable from any thread and returns at once.
"""

import threading
from collections.abc import Callable

from protocol.channel import ChannelSnapshot, ClinicSnapshot

Key = tuple[str, str]


class Board:
    """Listeners are called in the writer's thread and must only pass the word on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clinics: dict[str, ClinicSnapshot] = {}
        self._channels: dict[Key, ChannelSnapshot] = {}
        self._listeners: list[Callable[[], None]] = []

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
            for key in [key for key in self._channels if key[0] == clinic]:
                del self._channels[key]
        self._changed()

    def drop_channel(self, clinic: str, channel: str) -> None:
        """The channel is no more."""
        with self._lock:
            self._channels.pop((clinic, channel), None)
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
