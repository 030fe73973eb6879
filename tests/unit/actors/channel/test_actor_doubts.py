"""What may have been sent when its session went: the session store proves nothing then."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from protocol import port_events
from protocol.ledger import Paired
from protocol.port import SendText
from tests.fakes.memory_ledger import Entry
from tests.fakes.scripted_port import silent
from tests.fakes.scripted_remains import DEVICE
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import accepted
from tests.unit.actors.channel.home import Home
from tests.unit.actors.channel.home import home as make_home

CODE = port_events.QrShown(code="code-1", valid_s=60.0)


@pytest.fixture
def home() -> Iterator[Home]:
    with make_home() as place:
        yield place


def test_what_was_in_flight_when_the_device_was_removed_is_the_senders_to_decide(home: Home) -> None:
    port = home.connected()
    port.answer = silent
    home.send("1", on_uncertain="hold")
    port.wait_call(SendText)
    home.remains.empty()
    home.opener.first_words = [CODE]
    port.say(port_events.LoggedOut(reason="device removed"))
    port.die()
    assert home.bus.wait_result("1").status == "held"


@pytest.mark.parametrize(
    ("jid", "status"), [(DEVICE, "sent"), ("5511999990000:6@s.whatsapp.net", "held"), (None, "held")]
)
def test_what_an_earlier_life_began_was_never_sent_only_if_the_store_is_still_its_sessions(
    home: Home, jid: str | None, status: str
) -> None:
    began = replace(accepted("1", on_uncertain="hold"), attempts=1, secret=b"s" * 32)
    home.ledger.entries[CHANNEL, "1"] = Entry(began, "in_flight")
    home.ledger.channel(CHANNEL).paired = Paired(phone="5511999990000", jid=jid)
    home.connected()
    assert home.bus.wait_result("1").status == status
    home.bell.wait(lambda: home.ledger.channel(CHANNEL).paired == Paired(phone="5511999990000", jid=DEVICE), "a note")
