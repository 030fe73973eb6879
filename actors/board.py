"""The board: what the registry wants, and the last snapshot of every clinic and channel, so that a look never waits for
an actor; what of it has changed since when; and the word that a command has ended, for who waits for that.

Actors write, the loop reads. Every method is callable from any thread and returns at once.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from actors.changelog import Changelog, Kind, Thing
from actors.clinic_view import shown
from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ChannelSnapshot, ClinicSnapshot, QrCode
from protocol.commands import utc_now
from protocol.live import Changes, Gone, ShownCode

Key = tuple[str, str]


class Board:
    """Implements ``protocol.live.Live``. Listeners are called in the writer's thread and must only pass the word on."""

    def __init__(self) -> None:
        self._epoch, self._began_at = secrets.token_hex(4), utc_now()
        self._lock = threading.Lock()
        self._log = Changelog()
        self._wanted: Wanted | None = None
        self._awaiting_wanted: list[Callable[[], None]] = []
        self._clinics: dict[str, ClinicSnapshot] = {}
        self._channels: dict[str, dict[str, ChannelSnapshot]] = {}
        self._not_begun: dict[str, dict[str, ChannelSnapshot]] = {}
        self._codes: dict[Key, QrCode] = {}
        self._records: dict[Key, ChannelRecord] = {}
        self._troubles: dict[Key, str] = {}
        self._waiting: dict[tuple[str, str, str], list[Callable[[], None]]] = {}
        self._listeners: list[Callable[[], None]] = []

    def put_wanted(self, wanted: Wanted) -> None:
        """What the registry wants now."""
        with self._lock:
            self._wanted = wanted
            shown = {(of, channel) for of, channels in self._not_begun.items() for channel in channels}
            for of, channel in shown - wanted.channels.keys():
                del self._not_begun[of][channel]
                self._log.note_gone(of, channel)
                self._log.note(Kind.CLINIC, of)
            for key in wanted.channels:
                self._look_for(*key)
            told, self._awaiting_wanted = self._awaiting_wanted, []
        for one in told:
            one()
        self._changed()

    def _look_for(self, clinic: str, channel: str) -> None:
        """Show a channel that is wanted and has not begun, as its record is now."""
        record = None if self._wanted is None else self._wanted.channels.get((clinic, channel))
        if record is None or channel in self._channels.get(clinic, ()):
            return
        channels = self._not_begun.setdefault(clinic, {})
        before = channels.get(channel)
        if before is None or _record_of(before) != record:
            channels[channel] = ChannelSnapshot.not_begun(record, utc_now() if before is None else before.since)
            self._log.note(Kind.CHANNEL, clinic, channel)
            self._log.note(Kind.CLINIC, clinic)

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
            self._log.note(Kind.CLINIC, snapshot.id)
        self._changed()

    def put_channel(self, snapshot: ChannelSnapshot, code: QrCode | None = None) -> None:
        """How a channel is now, and the QR code that it shows."""
        clinic, channel = snapshot.clinic, snapshot.channel
        with self._lock:
            channels = self._channels.setdefault(clinic, {})
            before, channels[channel] = channels.get(channel), snapshot
            self._not_begun.get(clinic, {}).pop(channel, None)
            self._log.note(Kind.CHANNEL, clinic, channel)
            if before is None or before.state is not snapshot.state:
                self._log.note(Kind.CLINIC, clinic)
            if self._codes.get((clinic, channel)) != code:
                self._put_code((clinic, channel), code)
        self._changed()

    def _put_code(self, key: Key, code: QrCode | None) -> None:
        if code is None:
            del self._codes[key]
        else:
            self._codes[key] = code
        self._log.note(Kind.CODE, *key)

    def drop_clinic(self, clinic: str) -> None:
        """The clinic is no more, nor are its channels."""
        with self._lock:
            self._clinics.pop(clinic, None)
            self._channels.pop(clinic, None)
            self._not_begun.pop(clinic, None)
            self._codes = {key: code for key, code in self._codes.items() if key[0] != clinic}
            self._records = {key: record for key, record in self._records.items() if key[0] != clinic}
            self._troubles = {key: reason for key, reason in self._troubles.items() if key[0] != clinic}
            self._log.note_gone(clinic)
        self._changed()

    def drop_channel(self, clinic: str, channel: str) -> None:
        """The channel is no more."""
        with self._lock:
            known = self._channels.get(clinic, {}).pop(channel, None) is not None
            self._codes.pop((clinic, channel), None)
            self._records.pop((clinic, channel), None)
            troubled = self._troubles.pop((clinic, channel), None) is not None
            if known:
                self._log.note_gone(clinic, channel)
                self._look_for(clinic, channel)  # it may be wanted again
            if known or troubled:
                self._log.note(Kind.CLINIC, clinic)
        self._changed()

    def clinics(self) -> list[ClinicSnapshot]:
        """All, by id."""
        with self._lock:
            return [self._clinics[clinic] for clinic in sorted(self._clinics)]

    def clinic(self, clinic: str) -> ClinicSnapshot | None:
        """One."""
        with self._lock:
            return self._clinics.get(clinic)

    def all_channels(self, clinic: str | None = None) -> list[ChannelSnapshot]:
        """All, or a clinic's, those as well that are wanted and have not begun; by clinic and id."""
        with self._lock:
            return self._all_channels(clinic)

    def _all_channels(self, clinic: str | None = None) -> list[ChannelSnapshot]:
        clinics = sorted(self._channels.keys() | self._not_begun.keys()) if clinic is None else [clinic]
        of = [self._not_begun.get(each, {}) | self._channels.get(each, {}) for each in clinics]
        return [channels[channel] for channels in of for channel in sorted(channels)]

    def _channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        begun = self._channels.get(clinic, {}).get(channel)
        return self._not_begun[clinic][channel] if begun is None else begun

    def channels(self, clinic: str | None = None) -> list[ChannelSnapshot]:
        """All that have begun, or a clinic's; by clinic and id."""
        with self._lock:
            clinics = sorted(self._channels) if clinic is None else [clinic]
            of = [self._channels.get(each, {}) for each in clinics]
            return [channels[channel] for channels in of for channel in sorted(channels)]

    def channel(self, clinic: str, channel: str) -> ChannelSnapshot | None:
        """One."""
        with self._lock:
            return self._channels.get(clinic, {}).get(channel)

    def put_trouble(self, clinic: str, channel: str, reason: str | None) -> None:
        """Why a channel can store nothing; None: it can."""
        key = (clinic, channel)
        with self._lock:
            if self._troubles.get(key) != reason:
                self._log.note(Kind.CLINIC, clinic)
            if reason is None:
                self._troubles.pop(key, None)
            else:
                self._troubles[key] = reason
        self._changed()

    def trouble(self, clinic: str) -> str | None:
        """Why a channel of the clinic, and so the clinic, can store nothing; None if all can."""
        with self._lock:
            return self._trouble(clinic)

    def _trouble(self, clinic: str) -> str | None:
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

    # -- what has changed --

    @property
    def epoch(self) -> str:
        """Of this run of the node."""
        return self._epoch

    @property
    def began_at(self) -> datetime:
        """When the board was set up, with the node."""
        return self._began_at

    def changes(self, since: int | None) -> Changes:
        """What is different since ``since``, each thing once and as it is now."""
        with self._lock:
            things = None if since is None else self._log.since(since)
            whole = things is None
            if things is None:
                things = self._all()
            return Changes(
                version=self._log.version,
                whole=whole,
                clinics=[self._shown(of) for kind, of, _ in things if kind is Kind.CLINIC and of in self._clinics],
                channels=[self._channel(of, ch) for kind, of, ch in things if kind is Kind.CHANNEL and ch],
                codes=[self._code(of, ch) for kind, of, ch in things if kind is Kind.CODE and ch],
                gone=[Gone(clinic=of, channel=ch) for kind, of, ch in things if kind is Kind.GONE],
            )

    def _all(self) -> Sequence[Thing]:
        return [
            *((Kind.CLINIC, clinic, None) for clinic in sorted(self._clinics)),
            *((Kind.CHANNEL, each.clinic, each.channel) for each in self._all_channels()),
            *((Kind.CODE, of, ch) for of, ch in sorted(self._codes)),
        ]

    def _shown(self, clinic: str) -> ClinicSnapshot:
        return shown(self._clinics[clinic], self._all_channels(clinic), self._trouble(clinic))

    def _code(self, clinic: str, channel: str) -> ShownCode:
        code = self._codes.get((clinic, channel))
        if code is None:
            return ShownCode(clinic=clinic, channel=channel, code=None, expires_at=None)
        return ShownCode(clinic=clinic, channel=channel, code=code.code, expires_at=code.expires_at)

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


def _record_of(shown: ChannelSnapshot) -> ChannelRecord:
    return ChannelRecord(
        clinic=shown.clinic,
        id=shown.channel,
        name=shown.name,
        created_at=shown.created_at,
        wanted=shown.wanted,
        config=shown.config,
    )
