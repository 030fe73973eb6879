"""An outbox with short names for what is put in and comes of it."""

from datetime import timedelta
from random import Random
from typing import Any

from actors.channel.outbox import Outbox, OutboxPolicy
from actors.channel.parcel import Parcel, Settled
from protocol.ledger import Accepted
from protocol.port import Failed, Sent
from supervisor.backoff import Backoff
from tests.unit.actors.channel.commands import AT, SENT, accepted, at, failed, names

A, B, C = "5511900000001", "5511900000002", "5511900000003"
MANY = 1000
AT_ONCE = Backoff(base_s=0.0)


class Box:
    """An outbox, with the names of commands for parcels and seconds for times."""

    def __init__(self, *commands: Accepted, **policy: object) -> None:
        self.box = Outbox(OutboxPolicy(**policy))  # type: ignore[arg-type]  # a test's settings
        self.box.add(commands, at(0.0))

    def take(self, now: float = 0.0, most: int = MANY) -> list[str]:
        taken = self.box.take(at(now), most)
        for parcel in taken:
            parcel.begin(b"secret of " + parcel.id.encode())
        return names(taken)

    def parcel(self, id: str) -> Parcel:
        found = self.box.find(id)
        assert found is not None
        return found

    def settle(self, id: str, answer: Sent | Failed, now: float = 0.0) -> Settled:
        return self.box.settle(self.parcel(id), answer, at(now), Random(1))

    def sweep(self, now: float) -> list[tuple[str, str]]:
        return [(end.parcel.id, end.status) for end in self.box.sweep(at(now))]


def soon(seconds: float) -> dict[str, Any]:
    """That a command expires so many seconds from the beginning."""
    return {"expires_at": AT + timedelta(seconds=seconds)}


def one_by_one(box: Box) -> list[str]:
    """The order in which all go, each after the one before was sent."""
    order = []
    while taken := box.take():
        order += taken
        for name in taken:
            box.settle(name, SENT)
    return order


def in_doubt(**policy: Any) -> Box:
    """Two commands of one chat, of which nobody knows whether the first was sent."""
    box = Box(accepted("1", A, **policy), accepted("2", A), attempts=3)
    box.take()
    box.settle("1", failed("outcome_unknown"))
    return box
