"""WhatsApp refuses us, or ends the session: each way as its own event, or as the end of the port with its reason."""

from typing import Any

import pytest

from protocol.codes import ErrorCode
from protocol.port import Failed, RequestPairingCode
from protocol.port_events import (
    Banned,
    Connected,
    ConnectRefused,
    Disconnected,
    LoggedOut,
    Outdated,
    PairingFailed,
    PairingSucceeded,
    PortEvent,
    QrShown,
    Replaced,
    StreamFailed,
)
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount
from tests.integration.whatsapp.harness import Account

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def refused(clinic: Account, emulator: EmulatorProcess, kind: str, **parameters: Any) -> None:
    """Pair; then open another port, which meets the fault."""
    port = await clinic.paired()
    await port.stop(timeout=10)
    await emulator.fault(kind, **parameters)
    await clinic.open()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"reason": 400}, ConnectRefused(reason="generic")),
        ({"reason": 401}, LoggedOut(reason="logged_out")),
        ({"reason": 402, "code": 104, "expire": 3600}, Banned(code=104, expires_in_s=3600)),
        ({"reason": 403}, LoggedOut(reason="main_device_gone")),
        ({"reason": 405}, Outdated()),
        ({"reason": 406}, LoggedOut(reason="unknown_logout")),
        ({"reason": 409}, ConnectRefused(reason="bad_user_agent")),
    ],
)
async def test_a_refused_login_is_an_event(
    account: MakeAccount, emulator: EmulatorProcess, parameters: dict[str, Any], expected: PortEvent
) -> None:
    clinic = account()
    await refused(clinic, emulator, "failure", phone=clinic.phone, **parameters)
    assert await clinic.heard.until(type(expected)) == expected


async def test_a_ban_for_an_unlisted_reason_is_a_ban_all_the_same(
    account: MakeAccount, emulator: EmulatorProcess
) -> None:
    clinic = account()
    await refused(clinic, emulator, "failure", phone=clinic.phone, reason=402, code=199, expire=60)
    assert await clinic.heard.until(Banned) == Banned(code=0, expires_in_s=0)
    assert (await clinic.exited()).reason.startswith("connect() raised")


async def test_a_refusal_for_an_unlisted_reason_ends_the_port(account: MakeAccount, emulator: EmulatorProcess) -> None:
    clinic = account()
    await refused(clinic, emulator, "failure", phone=clinic.phone, reason=429)
    end = await clinic.exited()
    assert end.reason == "connect() raised: proto: required field neonize.ConnectFailure.Reason not set"
    assert not end.expected


async def test_a_refusal_that_neonize_cannot_bear_aborts_the_port(
    account: MakeAccount, emulator: EmulatorProcess
) -> None:
    clinic = account()
    await refused(clinic, emulator, "failure", phone=clinic.phone, reason=413)
    end = await clinic.exited()
    assert end.reason.startswith("Go aborted (signal 6): panic: runtime error: invalid memory address")


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("refuse_tcp", {}, "failed to dial whatsapp web websocket"),
        ("refuse", {"code": 503}, "failed to dial whatsapp web websocket"),
        ("refuse_upgrade", {"code": 429}, "got 429"),
        ("handshake_lie", {"lie": "wrong_root"}, "noise handshake failed"),
        ("handshake_lie", {"lie": "garbage"}, "noise handshake failed"),
    ],
)
async def test_a_failed_dial_ends_the_port(
    account: MakeAccount, emulator: EmulatorProcess, kind: str, parameters: dict[str, Any], said: str
) -> None:
    clinic = account()
    await refused(clinic, emulator, kind, **parameters)
    end = await clinic.exited()
    assert end.reason.startswith("connect() raised: ")
    assert said in end.reason


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"conflict": "replaced"}, Replaced()),
        ({"code": "401", "conflict": "device_removed"}, LoggedOut(reason="logged_out")),
        ({"code": "500"}, StreamFailed(code="500")),
    ],
)
async def test_a_stream_error_is_an_event(
    account: MakeAccount, emulator: EmulatorProcess, parameters: dict[str, Any], expected: PortEvent
) -> None:
    clinic = account()
    await clinic.paired()
    await emulator.fault("stream_error", phone=clinic.phone, count=1, **parameters)
    assert await clinic.heard.until(type(expected)) == expected


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_lost_connection_is_told_and_comes_back(
    account: MakeAccount, emulator: EmulatorProcess, how: str
) -> None:
    clinic = account()
    await clinic.paired()
    await emulator.fault("drop", phone=clinic.phone, count=1, how=how)
    await clinic.heard.until(Disconnected)
    await clinic.heard.until_that(lambda: len(clinic.heard.of(Connected)) == 2)


# -- pairing --


@pytest.mark.parametrize(
    ("kind", "parameters", "status"),
    [
        ("qr_codes", {"codes": 0}, "timeout"),
        ("failure", {"reason": 405}, "client_outdated"),
        ("failure", {"reason": 400}, "unexpected"),
    ],
)
async def test_pairing_that_cannot_begin_says_why(
    account: MakeAccount, emulator: EmulatorProcess, kind: str, parameters: dict[str, Any], status: str
) -> None:
    clinic = account()
    await emulator.fault(kind, **parameters)
    port = await clinic.open()
    assert (await clinic.heard.until(PairingFailed)).status == status
    await port.stop(timeout=5)
    assert (await clinic.exited()).expected


@pytest.mark.parametrize("lie", ["bad_signature", "bad_hmac"])
async def test_a_phone_that_lies_is_refused(account: MakeAccount, emulator: EmulatorProcess, lie: str) -> None:
    clinic = account()
    await emulator.fault("pairing_lie", lie=lie)
    await clinic.open()
    await emulator.scan((await clinic.heard.until(QrShown)).code, clinic.phone)
    assert (await clinic.heard.until(PairingFailed)).status == "refused"


async def test_pairing_without_a_connection_afterwards_heals_with_another_port(
    account: MakeAccount, emulator: EmulatorProcess
) -> None:
    clinic = account()
    fault = await emulator.fault("pairing_restart", send_515=False, close_after=0.0)
    port = await clinic.open()
    await emulator.scan((await clinic.heard.until(QrShown)).code, clinic.phone)
    await clinic.heard.until(PairingSucceeded)
    await emulator.clear(fault)
    await port.stop(timeout=5)
    await clinic.connected()


async def test_a_pairing_code_can_only_be_had_while_a_qr_code_is_shown(account: MakeAccount) -> None:
    clinic = account()
    port = await clinic.open()
    early = await port.call(RequestPairingCode(phone=clinic.phone), deadline=5)
    if isinstance(early, Failed):
        assert early.code == ErrorCode.NOT_CONNECTED.value
    await clinic.heard.until(QrShown)
    short = await port.call(RequestPairingCode(phone="123"), deadline=5)
    assert isinstance(short, Failed)
    assert short.code == ErrorCode.INVALID_RECIPIENT.value
    await clinic.close()

    port = await clinic.paired()
    late = await port.call(RequestPairingCode(phone=clinic.phone), deadline=5)
    assert isinstance(late, Failed)
    assert late.code == ErrorCode.NOT_CONNECTED.value
