"""What is asked of WhatsApp beside sending: who is on it, that we have read, that we are there."""

import pytest

from protocol.port import CheckNumbers, Done, Failed, MarkRead, NumberFound, NumbersChecked, PortRequest, ShowPresence
from protocol.port_events import MessageReceived
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_numbers_are_checked_in_the_order_in_which_they_were_asked_for(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic = account()
    port = await clinic.paired()
    here, nowhere, there = number(), number(), number()
    await emulator.exists(nowhere, False)
    answer = await port.call(CheckNumbers(phones=[here, nowhere, there]), deadline=10)
    assert answer == NumbersChecked(
        items=[
            NumberFound(phone=here, jid=f"77{here}@lid"),
            NumberFound(phone=nowhere, jid=None),
            NumberFound(phone=there, jid=f"77{there}@lid"),
        ]
    )
    await emulator.fault("iq_error", phone=clinic.phone, xmlns="usync", code=429)
    failed = await port.call(CheckNumbers(phones=[number()]), deadline=10)
    assert isinstance(failed, Failed)
    assert failed.code == "rate_limited"


async def test_a_contact_learns_that_it_was_read(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    wanted = [await emulator.send_text(contact, clinic.phone, words) for words in ("one", "two")]
    message = await clinic.heard.until(MessageReceived, lambda it: it.wa_id == wanted[1])
    read = MarkRead(chat=message.chat, sender=message.sender, wa_ids=wanted)
    assert await port.call(read, deadline=10) == Done()
    for wa_id in wanted:
        await emulator.wait_for(
            "receipt",
            phone=clinic.phone,
            where=lambda event, wa_id=wa_id: event.data["type"] == "read" and event.data["id"] == wa_id,  # type: ignore[misc]
        )


@pytest.mark.parametrize("presence", ["typing", "paused"])
async def test_a_chat_is_shown_that_we_are_typing(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber, presence: str
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    request = ShowPresence(presence=presence, chat=f"{contact}@s.whatsapp.net")  # type: ignore[arg-type]
    assert await port.call(request, deadline=10) == Done()
    await emulator.wait_for("stanza", phone=clinic.phone, where=lambda event: event.data["tag"] == "chatstate")


async def test_an_account_without_a_name_cannot_be_shown_as_available(account: MakeAccount) -> None:
    """The emulator's phones give theirs to nobody."""
    port = await account().paired()
    answer = await port.call(ShowPresence(presence="available"), deadline=10)
    assert isinstance(answer, Failed)
    assert answer.code == "not_connected"


@pytest.mark.parametrize(
    "request_",
    [
        MarkRead(chat="nobody", sender="nobody", wa_ids=["3A"]),
        ShowPresence(presence="typing", chat="nobody"),
        ShowPresence(presence="typing"),
    ],
)
async def test_what_is_no_address_is_refused(account: MakeAccount, request_: PortRequest) -> None:
    port = await account().paired()
    answer = await port.call(request_, deadline=10)
    assert isinstance(answer, Failed)
    assert answer.code == "invalid_recipient"


async def test_without_a_session_nothing_is_asked(account: MakeAccount, number: MakeNumber) -> None:
    clinic = account()
    port = await clinic.open()
    requests: list[PortRequest] = [
        CheckNumbers(phones=[number()]),
        MarkRead(chat="1@lid", sender="1@lid", wa_ids=["3A"]),
        ShowPresence(presence="available"),
    ]
    for request in requests:
        answer = await port.call(request, deadline=10)
        assert isinstance(answer, Failed)
        assert answer.code == "not_connected"
