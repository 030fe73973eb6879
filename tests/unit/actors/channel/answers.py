"""What scripted ports answer in the tests of a channel's parts."""

from protocol.port import PortAnswer, PortSpec, Sent
from tests.fakes.scripted_port import Answer, Anything
from tests.unit.actors.channel.bench import CHANNEL, CLINIC


def spec(incarnation: int = 1) -> PortSpec:
    return PortSpec(
        clinic=CLINIC, channel=CHANNEL, incarnation=incarnation, store="/runtime/x.db", device_name="Plantão"
    )


def answering(answer: PortAnswer | Sent) -> Answer:
    async def give(_: Anything) -> PortAnswer | Sent:
        return answer

    return give


def raising(error: Exception) -> Answer:
    async def fail(_: Anything) -> PortAnswer | Sent:
        raise error

    return fail
