"""One neonize client: one account, one ``connect()``.

Threads: callbacks run one after another on neonize's own thread; they translate, hand over, and return, because what
they have not handed over when the process dies is lost (WhatsApp has its receipt already). Sends come from one thread.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from gateway.whatsapp import attachment, compose, library, translate
from gateway.whatsapp.encryption import EncryptionLog
from gateway.whatsapp.errors import failed, failure, media_failure
from gateway.whatsapp.frames import MAX_MEDIA
from gateway.whatsapp.journal import Inbound
from gateway.whatsapp.qr import QrSchedule
from protocol.codes import ErrorCode
from protocol.errors import InvalidAddressError
from protocol.ids import Address
from protocol.port import (
    CheckNumbers,
    Done,
    Failed,
    FetchMedia,
    LogOut,
    MarkRead,
    MediaFetched,
    NumberFound,
    NumbersChecked,
    PairingCodeIssued,
    PortAnswer,
    PortSpec,
    Presence,
    Probe,
    RequestPairingCode,
    SendMedia,
    SendReaction,
    SendRequest,
    SendText,
    Sent,
    ShowPresence,
)
from protocol.port_events import BacklogDelivered, Connected, Disconnected, LoggedOut, PortEvent, QrShown

_STORE_OPTIONS: Final = "_foreign_keys=on&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=15000&_txlock=immediate"
_CHATS_REMEMBERED: Final = 10_000


def store_name(path: str) -> str:
    """What to call the store at ``path`` so that neonize, which makes ``file:<name>?_foreign_keys=on`` of it, opens
    exactly that file, in WAL mode: the path as a URI (SQLite undoes the escapes), our options, and neonize's own made
    the value of one that nobody reads."""
    return f"{quote(path)}?{_STORE_OPTIONS}&z="


class Session:
    """``deliver`` gets the events in order, on neonize's thread; what is read from whatsmeow's log, on any. It must
    neither block nor raise.
    ``broken`` is told why if an event could not be read: it is lost then, and the session not to be trusted."""

    def __init__(
        self,
        spec: PortSpec,
        deliver: Callable[[PortEvent | Inbound], None],
        broken: Callable[[str], None],
        *,
        logout_patience: float = 1.0,
    ) -> None:
        self._spec = spec
        self._deliver = deliver
        self._broken = broken
        self._stopped = False
        self._ended = False
        self._logout_patience = logout_patience
        self._log = EncryptionLog()
        self._qr = QrSchedule()
        self._qr_shown = False
        self._logged_in = False
        self._own: frozenset[str] = frozenset()
        self._reachable: set[Address] = set()
        self._backlog_before: datetime | None = datetime.now(UTC)
        self._client = self._make_client()
        self._delivering = False
        self._last_event = time.monotonic()

    @property
    def logged_in(self) -> bool:
        """Whether calls into the client make sense, and cannot hit one that neonize does not know (it would abort)."""
        return self._logged_in

    @property
    def silence(self) -> float:
        """Seconds since the last event was handed over; 0 while one is being."""
        return 0.0 if self._delivering else time.monotonic() - self._last_event

    def connect(self) -> None:
        """Connect and stay connected; returns only after ``disconnect()``. To be called once, on a thread of its own.

        Raises whatever neonize raises: dial errors before the first login, or an event that it could not encode.
        """
        proxy = library.binder.ProxySettings(self._spec.proxy) if self._spec.proxy else None
        self._client.connect(proxy)

    def hang_up(self) -> None:
        """Close the connection: nothing more arrives, what has arrived is handed over still, and ``silence`` begins
        anew. Only when logged in; it may block, and calls in flight fail."""
        self._client.disconnect()
        self._last_event = time.monotonic()

    def disconnect(self) -> None:
        """neonize's ``stop()``: only when logged in and no call is in flight; it may block, and what neonize has queued
        is thrown away."""
        self._stopped = True
        self._client.stop()

    # -- set-up --

    def _make_client(self) -> Any:
        library.client.log_whatsmeow = self._on_log
        props = library.DeviceProps(os=self._spec.device_name, platformType=library.DeviceProps.CHROME)
        client = library.client.NewClient(store_name(self._spec.store), uuid="port", props=props)
        for kind, _ in translate.SUBSCRIBED.values():
            client.event(kind)(_never_called)
        client.event.execute = self._on_event
        client.qr(self._on_qr)
        client._NewClient__onLoginStatus = self._on_status
        return client

    # -- callbacks --

    def _on_log(self, binary: int, size: int) -> None:
        """On any Go thread, inside the call that logs."""
        if not binary or size <= 0:
            return
        line = library.proto.LogEntry.FromString(ctypes.string_at(binary, size)).Message
        self._log.read(line)
        if thrown_away := translate.already_decrypted(line):
            self._deliver(thrown_away)
        if logged_out := translate.from_log(line):
            timer = threading.Timer(self._logout_patience, self._tell_logged_out, [logged_out])
            timer.daemon = True
            timer.start()

    def _tell_logged_out(self, event: LoggedOut) -> None:
        """The event should have come by now. If neonize lost it (see ``from_log``), it never delivers any other either,
        so nothing is overtaken."""
        if not self._ended and not self._stopped:
            self._note(event)
            self._give(event)

    def _on_qr(self, _: Any, code: bytes) -> None:
        self._qr_shown = True
        text = code.decode()
        self._give(QrShown(code=text, valid_s=self._qr.shown(text, time.monotonic())))

    def _on_status(self, _: int, status: int) -> None:
        self._qr_shown = False
        if event := translate.from_status(ctypes.string_at(status).decode()):
            self._give(event)

    def _on_event(self, _: bytes, binary: int, size: int, code: int) -> None:
        if code == library.events.EVENT_TO_INT[library.events.Device]:
            self._client.set_force_activate_delivery_receipts(True)
            return
        entry = translate.SUBSCRIBED.get(code)
        if entry is None or self._stopped:
            return
        kind, to_ours = entry
        try:
            raw = kind.FromString(ctypes.string_at(binary, size) if size else b"")
            event = to_ours(raw, translate.Context(own=self._client.get_me, backlog_before=self._backlog_before))
        except Exception as error:  # noqa: BLE001 - raised into ctypes, it would be printed and forgotten
            self._broken(f"{kind.__name__} could not be read: {type(error).__name__}")
            return
        if event is not None:
            self._note(event)
            self._give(event)

    def _note(self, event: PortEvent | Inbound) -> None:
        match event:
            case Connected():
                users = (event.phone, (event.lid or "").partition("@")[0].partition(":")[0])
                self._own = frozenset(filter(None, users))
                self._logged_in = True
            case Disconnected():
                self._logged_in = False
            case LoggedOut():
                self._logged_in = False
                self._ended = True
            case BacklogDelivered():
                self._backlog_before = None

    def _give(self, event: PortEvent | Inbound) -> None:
        self._delivering = True
        self._deliver(event)
        self._last_event = time.monotonic()
        self._delivering = False

    # -- calls --

    def send(self, request: SendRequest, upload: Any = None) -> Sent | Failed:
        """Send, and wait for WhatsApp's acknowledgement; ``upload`` is what ``upload()`` gave for media."""
        if not self._logged_in:
            return _NO_SESSION
        try:
            to = Address.parse(request.to)
        except InvalidAddressError as error:
            return failed(ErrorCode.INVALID_RECIPIENT, str(error))
        match request:
            case SendText():
                message = compose.text_message(request)
            case SendMedia():
                message = compose.media_message(request, upload)
            case SendReaction():
                message = compose.reaction_message(request)
        self._log.clear()
        try:
            response = self._client.send_message(compose.jid(to), message)
        except library.client.SendMessageError as error:
            return failure(str(error))
        return self._sent(to, response)

    def _sent(self, to: Address, response: Any) -> Sent | Failed:
        if to.server != "g.us":
            to_self = to.user in self._own
            if self._log.main_device_skipped(response.ID, self._own, to_self=to_self):
                return _NOT_ENCRYPTED
            try:
                if not self._has_phone(to):
                    return _NOT_ENCRYPTED
            except library.client.NeonizeError as error:
                return failed(ErrorCode.OUTCOME_UNKNOWN, f"the recipient's devices could not be looked up: {error}")
        return Sent(wa_id=response.ID, at=translate.from_s(response.Timestamp))

    def _has_phone(self, to: Address) -> bool:
        """Whether whatsmeow's list of the recipient's devices, filled by the send, holds its main one. A list without
        it is not complained of in the log: the message simply goes to nobody."""
        if to in self._reachable:
            return True
        jid = compose.jid(to)
        lid = jid if to.server == "lid" else self._client.get_lid_from_pn(jid)
        devices = self._client.get_user_devices(lid)
        if not any(device.Device == 0 and device.User == lid.User for device in devices):
            return False
        if len(self._reachable) >= _CHATS_REMEMBERED:
            self._reachable.clear()
        self._reachable.add(to)
        return True

    def upload(self, request: SendMedia) -> Any:
        """Upload the media; neonize's response for ``send``, or ``Failed``. Has no time-out: a stalled media server
        blocks it for ever."""
        if not self._logged_in:
            return _NO_SESSION
        if refusal := attachment.refusal(request):
            return refusal
        try:
            return self._client.upload(request.data, compose.UPLOADS[request.kind])
        except library.client.UploadError as error:
            return media_failure(str(error))

    def fetch(self, request: FetchMedia) -> PortAnswer:
        """Download and decrypt media. Has no time-out, as ``upload``."""
        if not self._logged_in:
            return _NO_SESSION
        try:
            message = library.e2e.Message.FromString(request.reference)
        except library.DecodeError:
            return failed(ErrorCode.MEDIA_INVALID, "this is not a media reference")
        size = max((value.fileLength for _, value in message.ListFields() if hasattr(value, "fileLength")), default=0)
        if size > MAX_MEDIA:
            return failed(ErrorCode.MEDIA_INVALID, f"it has {size} bytes; at most {MAX_MEDIA} are fetched")
        try:
            data = self._client.download_any(message)
        except library.client.DownloadError as error:
            return media_failure(str(error))
        if not data or len(data) > MAX_MEDIA:
            return failed(ErrorCode.MEDIA_INVALID, f"the media server gave {len(data)} bytes")
        return MediaFetched(data=data)

    def do(self, request: RequestPairingCode | Probe | LogOut | CheckNumbers | MarkRead | ShowPresence) -> PortAnswer:
        """The calls that neither send nor move media."""
        try:
            match request:
                case RequestPairingCode():
                    return self._pairing_code(request.phone)
                case Probe():
                    return self._probe()
                case LogOut():
                    return self._log_out()
                case CheckNumbers():
                    return self._check(request.phones)
                case MarkRead():
                    return self._mark_read(request)
                case ShowPresence():
                    return self._show(request.presence, request.chat)
        except library.client.NeonizeError as error:
            return failure(str(error))
        except InvalidAddressError as error:
            return failed(ErrorCode.INVALID_RECIPIENT, str(error))

    def _pairing_code(self, phone: str) -> PortAnswer:
        """Only while a QR code is shown: before, neonize has no socket; afterwards, the code would be useless."""
        if not self._qr_shown:
            return failed(ErrorCode.NOT_CONNECTED, "a pairing code can only be had while a QR code is shown")
        code = self._client.PairPhone(phone, True, library.ClientName.LINUX, library.ClientType.CHROME)
        return PairingCodeIssued(code=code)

    def _probe(self) -> PortAnswer:
        """The block list: one small read-only request that whatsmeow does not answer from memory (privacy settings and
        device lists it does), that asks about no contact (which WhatsApp counts), and that changes nothing."""
        if not self._logged_in:
            return _NO_SESSION
        self._client.get_blocklist()
        return Done()

    def _log_out(self) -> PortAnswer:
        if not self._logged_in:
            return _NO_SESSION
        self._client.logout()
        self._logged_in = False
        return Done()

    def _check(self, phones: Sequence[str]) -> PortAnswer:
        """whatsmeow wants international numbers with a plus sign, and answers with what it was asked."""
        if not self._logged_in:
            return _NO_SESSION
        found = {}
        for item in self._client.is_on_whatsapp(*(f"+{phone}" for phone in phones)):
            found[item.Query.lstrip("+")] = translate.bare(item.JID) if item.IsIn else None
        return NumbersChecked(items=[NumberFound(phone=phone, jid=found.get(phone)) for phone in phones])

    def _mark_read(self, request: MarkRead) -> PortAnswer:
        """whatsmeow asks for our privacy settings first, once, and does not wait for what becomes of the receipt."""
        if not self._logged_in:
            return _NO_SESSION
        chat, sender = (compose.jid(Address.parse(jid)) for jid in (request.chat, request.sender))
        self._client.mark_read(*request.wa_ids, chat=chat, sender=sender, receipt=library.ReceiptType.READ)
        return Done()

    def _show(self, presence: Presence, chat: str | None) -> PortAnswer:
        if not self._logged_in:
            return _NO_SESSION
        if presence in _PRESENCES:
            self._client.send_presence(_PRESENCES[presence])
        elif chat is None:
            return failed(ErrorCode.INVALID_RECIPIENT, "typing is shown in a chat")
        else:
            to = compose.jid(Address.parse(chat))
            self._client.send_chat_presence(to, _TYPING[presence], library.ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT)
        return Done()


_PRESENCES: Final[Mapping[Presence, Any]] = {
    "available": library.Presence.AVAILABLE,
    "unavailable": library.Presence.UNAVAILABLE,
}
_TYPING: Final[Mapping[Presence, Any]] = {
    "typing": library.ChatPresence.CHAT_PRESENCE_COMPOSING,
    "paused": library.ChatPresence.CHAT_PRESENCE_PAUSED,
}
_NO_SESSION: Final[Failed] = failed(ErrorCode.NOT_CONNECTED, "there is no session: not logged in")
_NOT_ENCRYPTED: Final[Failed] = failed(ErrorCode.NOT_ENCRYPTED, "it could not be encrypted for the recipient's phone")


def _never_called(*_: object) -> None:
    """Stands for a subscription; all events come through ``_on_event``."""
