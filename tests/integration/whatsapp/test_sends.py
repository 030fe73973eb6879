"""What becomes of a send, whatever WhatsApp does with it."""

import msgspec
import pytest

from protocol.codes import ErrorCode
from protocol.port import Failed, MediaKind, Sent
from protocol.port_events import Connected, Disconnected
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import answer_to, media, send, text

pytestmark = pytest.mark.asyncio(loop_scope="session")


def code_of(answer: object) -> ErrorCode:
    assert isinstance(answer, Failed), answer
    return next(code for code in ErrorCode if code.value == answer.code)


async def test_what_the_recipient_cannot_decrypt_was_not_sent(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    fault = await emulator.fault("bundle_refused", phone=clinic.phone, code=429)
    answer = await answer_to(port, text(contact), deadline=10)
    assert code_of(answer) is ErrorCode.NOT_ENCRYPTED
    assert contact not in str(answer)

    await emulator.clear(fault)
    assert isinstance(await answer_to(port, text(contact, "again"), deadline=10), Sent)
    assert (await emulator.wait_for_message(contact, text="again")).text == "again"


async def test_a_number_that_is_not_on_whatsapp_is_told_apart(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.exists(contact, False)
    answer = await answer_to(port, text(contact), deadline=10)
    assert code_of(answer) is ErrorCode.NOT_ON_WHATSAPP
    assert contact not in str(answer)


async def test_what_is_no_address_goes_nowhere(account: MakeAccount) -> None:
    port = await account().paired()
    answer = await answer_to(port, msgspec.structs.replace(text("1"), to="nobody@example.org"))
    assert code_of(answer) is ErrorCode.INVALID_RECIPIENT


@pytest.mark.parametrize(
    ("server_code", "expected"),
    [
        (400, ErrorCode.REJECTED),
        (429, ErrorCode.RATE_LIMITED),
        (463, ErrorCode.RESTRICTED),
        (503, ErrorCode.SERVER_ERROR),
    ],
)
async def test_a_refusal_by_the_server_has_its_code(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, server_code: int, expected: ErrorCode
) -> None:
    clinic = account()
    port = await clinic.paired()
    await emulator.fault("ack_error", phone=clinic.phone, code=server_code)
    assert code_of(await answer_to(port, text(number()), deadline=10)) is expected


async def test_a_query_that_fails_before_the_send_sent_nothing(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic = account()
    port = await clinic.paired()
    await emulator.fault("iq_error", phone=clinic.phone, xmlns="usync", code=429)
    assert code_of(await answer_to(port, text(number()), deadline=10)) is ErrorCode.RATE_LIMITED


async def test_sends_in_line_arrive_in_the_order_of_the_calls(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    outcomes = await send(port, *(text(contact, str(i)) for i in range(40)))
    assert all(isinstance(outcome.answer, Sent) for outcome in outcomes)
    assert [outcome.record for outcome in outcomes] == sorted(outcome.record or 0 for outcome in outcomes)
    assert [item.text for item in await emulator.inbox(contact)] == [str(i) for i in range(40)]


async def test_waiting_in_line_does_not_make_a_send_late(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.fault("late_ack", phone=clinic.phone, seconds=1)
    outcomes = await send(port, *(text(contact, str(i)) for i in range(4)), deadline=3.5)
    assert all(isinstance(outcome.answer, Sent) for outcome in outcomes)


async def test_a_missed_deadline_kills_the_port_and_all_that_waits_in_it(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic = account()
    port = await clinic.paired()
    await emulator.fault("no_ack", phone=clinic.phone)
    late, other = await send(port, text(number()), text(number()), deadline=0.5)
    assert code_of(late.answer) is code_of(other.answer) is ErrorCode.OUTCOME_UNKNOWN
    assert (late.cut, other.cut) == (False, True)
    assert (await clinic.exited()).reason == "missed the deadline of a send (0.5 s)"
    (refused,) = await send(port, text(number()))
    assert (code_of(refused.answer), refused.cut, refused.record) == (ErrorCode.NOT_CONNECTED, False, None)


async def test_a_socket_lost_in_flight_is_bridged_and_nothing_arrives_twice(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.fault("drop_in_flight", phone=clinic.phone, count=1)
    answer = await answer_to(port, text(contact), deadline=20)
    assert isinstance(answer, Sent)
    assert [item.id for item in await emulator.inbox(contact)] == [answer.wa_id]


async def test_without_a_session_nothing_is_sent(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic = account()
    port = await clinic.open()
    assert code_of(await answer_to(port, text(number()), deadline=5)) is ErrorCode.NOT_CONNECTED
    image = media(number(), "image", b"x", "image/png")
    assert code_of(await answer_to(port, image)) is ErrorCode.NOT_CONNECTED
    await clinic.close()

    port = await clinic.paired()
    await emulator.fault("login_unanswered", phone=clinic.phone)
    await emulator.fault("drop", phone=clinic.phone, count=1)
    await clinic.heard.until(Disconnected)
    assert code_of(await answer_to(port, text(number()), deadline=5)) is ErrorCode.NOT_CONNECTED
    assert len(clinic.heard.of(Connected)) == 1


@pytest.mark.parametrize(
    ("kind", "mime", "data"),
    [("image", "image/gif", b"GIF89a"), ("video", "text/plain", b"x"), ("document", "text/plain", b"")],
)
async def test_media_of_a_wrong_kind_is_refused(
    account: MakeAccount, number: MakeNumber, kind: MediaKind, mime: str, data: bytes
) -> None:
    port = await account().paired()
    assert code_of(await answer_to(port, media(number(), kind, data, mime))) is ErrorCode.MEDIA_INVALID
