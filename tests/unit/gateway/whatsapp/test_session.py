"""A session over a client that stands for neonize's: what the real one cannot be made to do at will."""

import ctypes
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.whatsapp import library
from gateway.whatsapp.frames import MAX_MEDIA
from gateway.whatsapp.library import e2e, events, proto
from gateway.whatsapp.session import Session, store_name
from protocol.port import Failed, FetchMedia, LogOut, PortSpec, Probe, SendText, Sent
from protocol.port_events import AlreadyDecrypted, Connected, LoggedOut, MessageReceived

TO = SendText(key="1:a", secret=b"s" * 32, to="5511888000001@s.whatsapp.net", text="hi")
SPEC = PortSpec(clinic="c", channel="c", incarnation=1, store="/run/x.db", device_name="Plantão")


def jid(user: str, server: str, device: int = 0) -> Any:
    return proto.JID(User=user, Server=server, Device=device, RawAgent=0, Integrator=0, IsEmpty=False)


class FakeClient:
    """The part of neonize's client that a session uses."""

    made: "FakeClient"

    def __init__(self, name: str, *, uuid: str, props: Any) -> None:
        FakeClient.made = self
        self.name, self.uuid, self.props = name, uuid, props
        self.subscribed: set[int] = set()
        self.event = Subscriptions(self.subscribed)
        self.calls: list[str] = []
        self.devices: list[Any] | Exception = [jid("775511888000001", "lid")]
        self.before_answer: Callable[[], None] = lambda: None

    def qr(self, handler: object) -> None:
        self.on_qr = handler

    def set_force_activate_delivery_receipts(self, active: bool) -> None:
        self.calls.append(f"active receipts {active}")

    def disconnect(self) -> None:
        self.calls.append("disconnect")

    def get_me(self) -> Any:
        self.calls.append("get_me")
        return proto.Device(
            JID=jid("5511900000001", "s.whatsapp.net", 1), LID=jid("775511900000001", "lid", 1), PushName=""
        )

    def send_message(self, to: Any, message: Any) -> Any:
        self.calls.append("send_message")
        self.before_answer()
        return SimpleNamespace(ID="3A", Timestamp=1_800_000_000)

    def get_lid_from_pn(self, to: Any) -> Any:
        return jid(f"77{to.User}", "lid")

    def get_user_devices(self, _: Any) -> list[Any]:
        self.calls.append("get_user_devices")
        if isinstance(self.devices, Exception):
            raise self.devices
        return self.devices

    def download_any(self, _: Any) -> bytes:
        return b"x" * (MAX_MEDIA + 1)

    def stop(self) -> None:
        self.calls.append("stop")


class Subscriptions:
    def __init__(self, codes: set[int]) -> None:
        self._codes = codes
        self.execute: Callable[[bytes, int, int, int], None]

    def __call__(self, kind: Any) -> Callable[[object], None]:
        return lambda _: self._codes.add(events.EVENT_TO_INT[kind])


@pytest.fixture
def heard() -> list[Any]:
    return []


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, heard: list[Any]) -> Session:
    monkeypatch.setattr(library.client, "NewClient", FakeClient)
    return Session(SPEC, heard.append, heard.append)


def fire(event: Any) -> None:
    """What Go does: call the callback with a pointer."""
    data = event.SerializePartialToString()
    buffer = ctypes.create_string_buffer(data, len(data))
    code = events.EVENT_TO_INT[type(event)]
    FakeClient.made.event.execute(b"port", ctypes.addressof(buffer), len(data), code)


def connect() -> FakeClient:
    fire(events.ConnectedEv(status=True))
    return FakeClient.made


def test_the_client_is_made_for_the_store_and_subscribes_to_what_is_needed(session: Session) -> None:
    made = FakeClient.made
    assert made.name.startswith("/run/x.db?_foreign_keys=on&_journal_mode=WAL&")
    assert made.props.os == "Plantão"
    assert made.subscribed >= {2, 3, 17, 18}
    assert not made.subscribed & {0, 1, 13, 19, 30, 31}
    assert not session.logged_in


@pytest.mark.parametrize(
    ("path", "name"), [("/a/b.db", "/a/b.db?"), ("/a%41?b#c d", "/a%2541%3Fb%23c%20d?"), ("/clínica", "/cl%C3%ADnica?")]
)
def test_a_path_becomes_a_uri(path: str, name: str) -> None:
    assert store_name(path).startswith(name)
    assert store_name(path).endswith("&z=")


def test_receipts_are_made_active_before_anything_is_delivered(session: Session) -> None:
    fire(events.Device(Initialized=True))
    assert FakeClient.made.calls == ["active receipts True"]


def test_no_call_reaches_the_client_before_it_is_connected(session: Session) -> None:
    for answer in (
        session.send(TO),
        session.do(Probe()),
        session.do(LogOut()),
        session.fetch(FetchMedia(reference=b"")),
    ):
        assert isinstance(answer, Failed)
        assert answer.code == "not_connected"
    fire(events.DisconnectedEv())
    assert isinstance(session.send(TO), Failed)
    assert FakeClient.made.calls == []


def test_a_send_needs_the_recipient_s_phone_among_its_devices(session: Session) -> None:
    made = connect()
    made.devices = [jid("775511888000001", "lid", 3)]
    answer = session.send(TO)
    assert isinstance(answer, Failed)
    assert answer.code == "not_encrypted"
    made.devices = library.client.GetUserDevicesError("info query timed out")
    answer = session.send(TO)
    assert isinstance(answer, Failed)
    assert answer.code == "outcome_unknown"


def test_a_recipient_is_looked_up_once(session: Session) -> None:
    made = connect()
    assert isinstance(session.send(TO), Sent)
    assert isinstance(session.send(TO), Sent)
    assert made.calls.count("get_user_devices") == 1


def test_what_whatsmeow_logs_during_the_send_decides(session: Session) -> None:
    made = connect()
    made.before_answer = lambda: log_line("Failed to encrypt 3A for 775511888000001@lid: no prekeys")
    assert isinstance(session.send(TO), Failed)
    made.before_answer = lambda: log_line("Failed to encrypt 3A for 775511900000001@lid: our own phone")
    assert isinstance(session.send(TO), Sent)


def log_line(line: str) -> None:
    entry = proto.LogEntry(Message=line, Level="WARN", Name="Client").SerializeToString()
    buffer = ctypes.create_string_buffer(entry, len(entry))
    library.client.log_whatsmeow(ctypes.addressof(buffer), len(entry))


GONE = "Got 403: primary device was logged out connect failure, sending LoggedOut event and deleting session"


def test_a_logout_that_neonize_does_not_deliver_is_read_from_the_log(session: Session, heard: list[Any]) -> None:
    session._logout_patience = 0.01
    log_line(GONE)
    wait_for_timers()
    assert heard == [LoggedOut(reason="main_device_gone")]


def test_a_logout_that_neonize_delivers_is_told_once(session: Session, heard: list[Any]) -> None:
    session._logout_patience = 0.05
    log_line(GONE)
    fire(events.LoggedOutEv(OnConnect=True, Reason=proto.MAIN_DEVICE_GONE))
    wait_for_timers()
    assert heard == [LoggedOut(reason="main_device_gone")]


def test_what_whatsmeow_throws_away_is_said(session: Session, heard: list[Any]) -> None:
    log_line("Ignoring message 3A from 7755@lid: failed to decrypt: received message with old counter (index: 9)")
    assert heard == [AlreadyDecrypted(wa_id="3A", chat="7755@lid", sender="7755@lid")]


def test_the_log_callback_bears_nothing(session: Session, heard: list[Any]) -> None:
    library.client.log_whatsmeow(0, 0)
    assert heard == []


def wait_for_timers() -> None:
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(timeout=5)


def test_an_event_that_cannot_be_read_breaks_the_session(session: Session, heard: list[Any]) -> None:
    FakeClient.made.event.execute(b"port", ctypes.addressof(ctypes.create_string_buffer(b"\xff\xff")), 2, 17)
    assert heard == ["Message could not be read: DecodeError"]


def test_what_has_arrived_when_the_session_hangs_up_is_handed_over(session: Session, heard: list[Any]) -> None:
    connect()
    heard.clear()
    session.hang_up()
    assert FakeClient.made.calls[-1] == "disconnect"
    assert session.silence < 1.0, "it begins anew"
    fire(events.KeepAliveTimeoutEv(ErrorCount=1))
    assert len(heard) == 1


def test_nothing_is_asked_of_the_client_once_it_is_stopped(session: Session, heard: list[Any]) -> None:
    session.disconnect()
    fire(events.ConnectedEv(status=True))
    assert FakeClient.made.calls == ["stop"]
    assert heard == []


def test_the_backlog_ends_once_and_for_all(session: Session, heard: list[Any]) -> None:
    def old_message() -> Any:
        source = proto.MessageSource(Chat=jid("7755", "lid"), Sender=jid("7755", "lid"))
        return events.MessageEv(
            Info=proto.MessageInfo(ID="3A", Timestamp=1_700_000_000_000, MessageSource=source),
            Message=e2e.Message(conversation="x"),
        )

    fire(old_message())
    connect()
    fire(events.OfflineSyncCompletedEv(Count=1))
    fire(old_message())
    fire(events.DisconnectedEv())
    connect()
    fire(old_message())
    messages = [event for event in heard if isinstance(event, MessageReceived)]
    assert [message.backlog for message in messages] == [True, False, False]
    assert len([event for event in heard if isinstance(event, Connected)]) == 2


@pytest.mark.parametrize(
    "reference",
    [
        b"\xff\xff",
        e2e.Message(imageMessage=e2e.ImageMessage(fileLength=MAX_MEDIA + 1)).SerializeToString(),
        e2e.Message(imageMessage=e2e.ImageMessage(fileLength=5)).SerializeToString(),
    ],
)
def test_media_that_is_none_or_too_large_is_not_fetched(session: Session, reference: bytes) -> None:
    connect()
    answer = session.fetch(FetchMedia(reference=reference))
    assert isinstance(answer, Failed)
    assert answer.code == "media_invalid"
