"""What becomes of a send, whatever WhatsApp does with it."""

import asyncio

import pytest

from protocol.codes import ErrorCode
from protocol.errors import CallTimeoutError, PortGoneError
from protocol.port import Connected, Disconnected, Failed, PortExited, SendImage, SendText, Sent
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import jid, text

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
    answer = await port.call(text(contact), deadline=10)
    assert code_of(answer) is ErrorCode.NOT_ENCRYPTED
    assert contact not in str(answer)

    await emulator.clear(fault)
    assert isinstance(await port.call(text(contact, "again"), deadline=10), Sent)
    assert (await emulator.wait_for_message(contact, text="again")).text == "again"


async def test_a_number_that_is_not_on_whatsapp_is_told_apart(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.exists(contact, False)
    answer = await port.call(text(contact), deadline=10)
    assert code_of(answer) is ErrorCode.NOT_ON_WHATSAPP
    assert contact not in str(answer)


async def test_what_is_no_address_goes_nowhere(account: MakeAccount) -> None:
    port = await account().paired()
    answer = await port.call(SendText(to="nobody@example.org", text="hi"), deadline=10)
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
    assert code_of(await port.call(text(number()), deadline=10)) is expected


async def test_a_query_that_fails_before_the_send_sent_nothing(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic = account()
    port = await clinic.paired()
    await emulator.fault("iq_error", phone=clinic.phone, xmlns="usync", code=429)
    assert code_of(await port.call(text(number()), deadline=10)) is ErrorCode.RATE_LIMITED


async def test_sends_in_line_arrive_in_the_order_of_the_calls(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    answers = await asyncio.gather(*(port.call(text(contact, str(i)), deadline=20) for i in range(40)))
    assert all(isinstance(answer, Sent) for answer in answers)
    assert [item.text for item in await emulator.inbox(contact)] == [str(i) for i in range(40)]


async def test_waiting_in_line_does_not_make_a_send_late(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.fault("late_ack", phone=clinic.phone, seconds=0.4)
    answers = await asyncio.gather(*(port.call(text(contact, str(i)), deadline=1) for i in range(4)))
    assert all(isinstance(answer, Sent) for answer in answers)


async def test_a_missed_deadline_kills_the_port_and_all_that_waits_in_it(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic = account()
    port = await clinic.paired()
    await emulator.fault("no_ack", phone=clinic.phone)
    outcomes = await asyncio.gather(
        port.call(text(number()), deadline=0.5), port.call(text(number()), deadline=30), return_exceptions=True
    )
    assert isinstance(outcomes[0], CallTimeoutError)
    assert isinstance(outcomes[1], PortGoneError)
    assert await clinic.exited() == PortExited(reason="missed the deadline of SendText (0.5 s)", expected=False)
    with pytest.raises(PortGoneError):
        await port.call(text(number()), deadline=5)


async def test_a_socket_lost_in_flight_is_bridged_and_nothing_arrives_twice(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.fault("drop_in_flight", phone=clinic.phone, count=1)
    answer = await port.call(text(contact), deadline=20)
    assert isinstance(answer, Sent)
    assert [item.id for item in await emulator.inbox(contact)] == [answer.wa_id]


async def test_without_a_session_nothing_is_sent(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic = account()
    port = await clinic.open()
    assert code_of(await port.call(text(number()), deadline=5)) is ErrorCode.NOT_CONNECTED
    image = SendImage(to=jid(number()), data=b"x", mime="image/png")
    assert code_of(await port.call(image, deadline=5)) is ErrorCode.NOT_CONNECTED
    await clinic.close()

    port = await clinic.paired()
    await emulator.fault("login_unanswered", phone=clinic.phone)
    await emulator.fault("drop", phone=clinic.phone, count=1)
    await clinic.heard.until(Disconnected)
    assert code_of(await port.call(text(number()), deadline=5)) is ErrorCode.NOT_CONNECTED
    assert len(clinic.heard.of(Connected)) == 1


@pytest.mark.parametrize(("mime", "data"), [("image/gif", b"GIF89a"), ("text/plain", b"x"), ("image/png", b"")])
async def test_an_image_of_a_wrong_kind_is_refused(
    account: MakeAccount, number: MakeNumber, mime: str, data: bytes
) -> None:
    port = await account().paired()
    answer = await port.call(SendImage(to=jid(number()), data=data, mime=mime), deadline=10)
    assert code_of(answer) is ErrorCode.MEDIA_INVALID
