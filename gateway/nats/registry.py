"""The registry: which clinics and channels are wanted, in a key-value bucket of the account ``plantao``.

Keys are ``clinic.<c>`` and ``channel.<c>.<ch>``, values JSON, so that ``nats kv`` shows and mends them.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from gateway.nats.bus import NatsBus
from gateway.nats.link import Connection
from gateway.nats.streams import REGISTRY_STREAM
from gateway.nats.translate import translating
from protocol import subjects
from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ClinicRecord, WantedState
from protocol.errors import AlreadyExistsError, ConflictError, InvalidInputError, NotFoundError, UnavailableError
from protocol.ids import check_name

T = TypeVar("T")
R = TypeVar("R", ClinicRecord, ChannelRecord)
log = structlog.get_logger(__name__)

MAX_CONFIG: Final = 16 << 10
"""Bytes of a channel's own settings."""
_PREFIX: Final = f"$KV.{subjects.REGISTRY_BUCKET}."
_OPERATION: Final = "KV-Operation"
_MARKER: Final = "Nats-Marker-Reason"
_CHECK_EVERY: Final = 30.0
"""Seconds of silence after which the watch looks whether its consumer still exists."""
_PAUSE: Final = 1.0
_ORPHAN_AFTER: Final = 300.0


class NatsRegistry:
    """The bucket, reached through ``bus`` (implements ``Registry``). On the loop's thread. ``is_erased``: a clinic is
    being erased, so that none of its name may be made."""

    def __init__(self, bus: NatsBus, *, is_erased: Callable[[str], bool] = lambda _: False) -> None:
        self._bus = bus
        self._is_erased = is_erased

    async def watch(self, deliver: Callable[[Wanted], None]) -> None:
        """See ``Registry``. With every new connection the whole is read again.

        A record that cannot be read is left out, and a line in the log names its key; so is a channel whose clinic is
        not wanted (one that was being deleted).
        """
        while True:
            try:
                connection = await self._bus.node_connection()
                with translating("watching the registry"):
                    await self._follow(connection, deliver)
            except UnavailableError as error:
                log.warning("registry_watch_interrupted", error=str(error))
                await asyncio.sleep(_PAUSE)

    async def create_clinic(self, record: ClinicRecord) -> None:
        """Raises AlreadyExistsError, ConflictError (it is being erased), BusUnavailableError, InvalidIdError."""
        key = subjects.registry_clinic(check_name("clinic", record.id))
        self._check_free(record.id)
        await self._create(key, record, f"clinic {record.id}")

    async def create_channel(self, record: ChannelRecord) -> None:
        """Raises AlreadyExistsError, NotFoundError (its clinic), BusUnavailableError, InvalidIdError."""
        await self._require(subjects.registry_clinic(check_name("clinic", record.clinic)), f"clinic {record.clinic}")
        key = subjects.registry_channel(record.clinic, check_name("channel", record.id))
        await self._create(key, record, f"channel {record.id} of clinic {record.clinic}")

    async def want_channel(self, clinic: str, channel: str, wanted: WantedState) -> None:
        """Writes nothing if it is wanted so already. Raises NotFoundError, BusUnavailableError, InvalidIdError."""
        key = subjects.registry_channel(check_name("clinic", clinic), check_name("channel", channel))
        what = f"channel {channel} of clinic {clinic}"
        work = partial(
            _change, key=key, what=what, kind=ChannelRecord, change=lambda record: replace(record, wanted=wanted)
        )
        await self._with_bucket(work, f"changing {what}")

    async def configure_channel(
        self, clinic: str, channel: str, config: Mapping[str, Any] | None, name: str | None = None
    ) -> tuple[ChannelRecord, int]:
        """See ``Registry``. Of ``config`` it checks only that it is a JSON object of at most 16 KiB.

        Raises NotFoundError, BusUnavailableError, InvalidIdError, InvalidInputError.
        """
        key = subjects.registry_channel(check_name("clinic", clinic), check_name("channel", channel))
        wanted = None if config is None else _checked_config(config)
        what = f"channel {channel} of clinic {clinic}"

        def change(record: ChannelRecord) -> ChannelRecord:
            return replace(record, config=record.config if wanted is None else wanted, name=name or record.name)

        work = partial(_change, key=key, what=what, kind=ChannelRecord, change=change)
        return await self._with_bucket(work, f"configuring {what}")

    async def configure_clinic(self, clinic: str, name: str | None, timezone: str | None) -> tuple[ClinicRecord, int]:
        """See ``Registry``. Raises NotFoundError, BusUnavailableError, InvalidIdError."""
        key, what = subjects.registry_clinic(check_name("clinic", clinic)), f"clinic {clinic}"

        def change(record: ClinicRecord) -> ClinicRecord:
            return replace(record, name=name or record.name, timezone=timezone or record.timezone)

        work = partial(_change, key=key, what=what, kind=ClinicRecord, change=change)
        return await self._with_bucket(work, f"configuring {what}")

    async def delete_clinic(self, clinic: str) -> None:
        """With its channels, which go first: what is interrupted can be asked for again.

        Raises NotFoundError, BusUnavailableError, InvalidIdError.
        """
        key = subjects.registry_clinic(check_name("clinic", clinic))
        await self._require(key, f"clinic {clinic}")
        await self._with_bucket(lambda bucket: self._delete_clinic(bucket, key, clinic), f"deleting clinic {clinic}")

    async def delete_channel(self, clinic: str, channel: str) -> None:
        """Raises NotFoundError, BusUnavailableError, InvalidIdError."""
        key = subjects.registry_channel(check_name("clinic", clinic), check_name("channel", channel))
        await self._require(key, f"channel {channel} of clinic {clinic}")
        await self._with_bucket(lambda bucket: bucket.delete(key), f"deleting channel {channel}")

    async def withdraw_clinic(self, clinic: str) -> None:
        """See ``Registry``: its own record goes, and nobody looks at those of its channels."""
        key = subjects.registry_clinic(check_name("clinic", clinic))
        await self._with_bucket(lambda bucket: bucket.delete(key), f"withdrawing clinic {clinic}")

    async def put_clinic(self, record: ClinicRecord, channels: Sequence[ChannelRecord]) -> None:
        """See ``Registry``. The clinic's record comes last: a watch never sees it with channels missing, which would be
        cleaned up."""
        clinic = check_name("clinic", record.id)
        self._check_free(clinic)
        records = {subjects.registry_channel(clinic, check_name("channel", one.id)): one for one in channels}

        async def put_channels(bucket: KeyValue) -> None:
            with suppress(KeyNotFoundError):
                await bucket.get(subjects.registry_clinic(clinic))
                raise AlreadyExistsError(f"clinic {clinic}")
            for key in await self._channel_keys(clinic):
                if key not in records:
                    await bucket.delete(key)
            for key, one in records.items():
                await bucket.put(key, msgspec.json.encode(one))

        await self._with_bucket(put_channels, f"registering the channels of clinic {clinic}")
        await self._create(subjects.registry_clinic(clinic), record, f"clinic {clinic}")

    # -- keys --

    def _check_free(self, clinic: str) -> None:
        if self._is_erased(clinic):
            raise ConflictError(f"clinic {clinic} is being erased: wait for the end of that (plantao job list)")

    async def _with_bucket(self, work: Callable[[KeyValue], Coroutine[Any, Any, T]], doing: str) -> T:
        connection = await self._bus.node_connection()

        async def run() -> T:
            return await work(await connection.js.key_value(subjects.REGISTRY_BUCKET))

        return await connection.during(run(), doing)

    async def _create(self, key: str, record: Struct, what: str) -> None:
        async def create(bucket: KeyValue) -> None:
            try:
                await bucket.create(key, msgspec.json.encode(record))
            except KeyWrongLastSequenceError as error:
                raise AlreadyExistsError(what) from error

        await self._with_bucket(create, f"creating {what}")

    async def _require(self, key: str, what: str) -> None:
        async def get(bucket: KeyValue) -> None:
            try:
                await bucket.get(key)
            except KeyNotFoundError as error:
                raise NotFoundError(what) from error

        await self._with_bucket(get, f"looking for {what}")

    async def _delete_clinic(self, bucket: KeyValue, key: str, clinic: str) -> None:
        for of_channel in await self._channel_keys(clinic):
            await bucket.delete(of_channel)
        await bucket.delete(key)

    async def _channel_keys(self, clinic: str) -> list[str]:
        """Also of channels that are gone."""
        connection = await self._bus.node_connection()
        of_clinic = f"{_PREFIX}{subjects.registry_channel(clinic, '*')}"
        info = await connection.js.stream_info(REGISTRY_STREAM, subjects_filter=of_clinic)
        return [subject.removeprefix(_PREFIX) for subject in info.state.subjects or {}]

    # -- watching --

    async def _follow(self, connection: Connection, deliver: Callable[[Wanted], None]) -> None:
        """Read everything and then every change, until the connection is lost. Raises the client library's errors."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=_ORPHAN_AFTER,
        )
        subscription = await connection.js.subscribe(f"{_PREFIX}>", stream=REGISTRY_STREAM, config=config)
        records: dict[str, Struct] = {}
        info = await subscription.consumer_info()
        # By the server's own count: what is still on its way to us must not look like an empty registry.
        if not info.num_pending and (info.delivered is None or info.delivered.consumer_seq == 0):
            deliver(_wanted(records, 0))
        while not connection.lost.done():
            try:
                msg = await subscription.next_msg(timeout=_CHECK_EVERY)
            except NatsTimeoutError:
                await subscription.consumer_info()
                continue
            _apply(records, msg)
            if not msg.metadata.num_pending:
                deliver(_wanted(records, msg.metadata.sequence.stream))


async def _change(bucket: KeyValue, *, key: str, what: str, kind: type[R], change: Callable[[R], R]) -> tuple[R, int]:
    """Change the record as it is at this moment: whoever else changes it meanwhile is not overwritten. Returns it and
    its revision."""
    while True:
        try:
            entry = await bucket.get(key)
        except KeyNotFoundError as error:
            raise NotFoundError(what) from error
        record = msgspec.json.decode(entry.value or b"", type=kind)
        changed = change(record)
        if changed == record:
            return record, entry.revision or 0
        with suppress(KeyWrongLastSequenceError):
            return changed, await bucket.update(key, msgspec.json.encode(changed), last=entry.revision)


def _checked_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` as it is read back. Raises InvalidInputError."""
    try:
        encoded = msgspec.json.encode(config)
        read = msgspec.json.decode(encoded, type=dict[str, Any])
    except (TypeError, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError("config", "a JSON object") from error
    if len(encoded) > MAX_CONFIG:
        raise InvalidInputError("config", f"at most {MAX_CONFIG} bytes, got {len(encoded)}")
    return read


def _apply(records: dict[str, Struct], msg: Msg) -> None:
    """Take over one change: a record that was put, or the mark of one that is gone."""
    key = msg.subject.removeprefix(_PREFIX)
    if any(name in (msg.headers or {}) for name in (_OPERATION, _MARKER)):
        records.pop(key, None)
        return
    try:
        records[key] = _read(key, msg.data)
    except (msgspec.DecodeError, ValueError) as error:
        records.pop(key, None)
        log.error("registry_record_unreadable", record=key, error=str(error))


def _read(key: str, value: bytes) -> Struct:
    """Raises DecodeError or ValueError if it is no record, or not the one that ``key`` names."""
    if key.startswith("clinic."):
        clinic = msgspec.json.decode(value, type=ClinicRecord)
        expected = subjects.registry_clinic(clinic.id)
        record: Struct = clinic
    else:
        channel = msgspec.json.decode(value, type=ChannelRecord)
        expected = subjects.registry_channel(channel.clinic, channel.id)
        record = channel
    if key != expected:
        raise ValueError(f"the record says it is {expected}")
    return record


def _wanted(records: dict[str, Struct], revision: int) -> Wanted:
    clinics = {record.id: record for record in records.values() if isinstance(record, ClinicRecord)}
    channels = {
        (record.clinic, record.id): record
        for record in records.values()
        if isinstance(record, ChannelRecord) and record.clinic in clinics
    }
    return Wanted(clinics=clinics, channels=channels, revision=revision)
