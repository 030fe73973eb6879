"""Tells and asks: the same messages to the same number of actors, of plain pykka and of ``supervisor.actor``."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Literal

from msgspec import Struct
from pykka import ActorRef, ThreadingActor

from supervisor.actor import Actor, Call, Link, ask, tell

PATIENCE_S: Final = 60.0
_WARM_UP: Final = 200
_SETTLE_S: Final = 0.1

Base = Literal["pykka", "ours"]


class Run(Struct, kw_only=True):
    """Seconds throughout; ``cpu`` of the whole process; ``latencies``, where each of ``count`` has one of its own."""

    count: int
    seconds: float
    cpu: float
    latencies: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """The message."""

    number: int


class _Plain(ThreadingActor):
    """Says so when it has had ``count`` messages. Answers with what it was asked."""

    use_daemon_thread = True

    def __init__(self, count: int, told: Callable[[], None]) -> None:
        super().__init__()
        self._left = count
        self._told = told

    def on_receive(self, message: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._told()
        return message


class _Ours(Actor):
    """The same on the actor base."""

    def __init__(self, count: int, told: Callable[[], None]) -> None:
        super().__init__(Link(exited=lambda _: None))
        self._left = count
        self._told = told

    def handle(self, message: Any) -> None:
        self._left -= 1
        if self._left == 0:
            self._told()

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        reply(request)


def _start(base: Base, count: int, told: Callable[[], None]) -> ActorRef[Any]:
    return _Plain.start(count, told) if base == "pykka" else _Ours.start(count, told)


def tells(*, base: Base, actors: int, count: int) -> Run:
    """From the first tell by one thread until the last of ``count`` messages is handled; the actors take turns."""
    told: SimpleQueue[None] = SimpleQueue()
    each = count // actors
    send: Callable[[ActorRef[Any], Tick], object] = ActorRef.tell if base == "pykka" else tell
    refs = [_start(base, each, lambda: told.put(None)) for _ in range(actors)]
    messages = [Tick(number) for number in range(each)]
    time.sleep(_SETTLE_S)
    cpu, begun = time.process_time(), time.monotonic()
    for message in messages:
        for ref in refs:
            send(ref, message)
    for _ in refs:
        told.get(timeout=PATIENCE_S)
    return Run(count=each * actors, seconds=time.monotonic() - begun, cpu=time.process_time() - cpu)


def asks(*, base: Base, count: int) -> Run:
    """``count`` questions to one actor, one after another, from a thread that waits for each answer."""
    ref = _start(base, 0, lambda: None)
    ask_one = _ask_pykka if base == "pykka" else _ask_ours
    for number in range(_WARM_UP):
        ask_one(ref, Tick(number))
    latencies = []
    cpu, begun = time.process_time(), time.monotonic()
    for number in range(count):
        asked = time.monotonic()
        ask_one(ref, Tick(number))
        latencies.append(time.monotonic() - asked)
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    return Run(count=count, seconds=seconds, cpu=cpu, latencies=latencies)


def _ask_pykka(ref: ActorRef[Any], message: Tick) -> object:
    return ref.ask(message, timeout=PATIENCE_S)


def _ask_ours(ref: ActorRef[Any], message: Tick) -> object:
    answers: SimpleQueue[Any] = SimpleQueue()
    tell(ref, Call(message, answers.put))
    return answers.get(timeout=PATIENCE_S)


def asks_from_loop(*, base: Base, count: int, at_once: int) -> Run:
    """``count`` questions to one actor from an asyncio loop, of which ``at_once`` wait at any moment."""
    return asyncio.run(_asks_from_loop(base, count, at_once))


async def _asks_from_loop(base: Base, count: int, at_once: int) -> Run:
    ref = _start(base, 0, lambda: None)
    ask_one = _ask_pykka_from_loop if base == "pykka" else _ask_ours_from_loop
    await _ask_many(ref, ask_one, max(_WARM_UP, at_once), at_once)
    cpu, begun = time.process_time(), time.monotonic()
    latencies = await _ask_many(ref, ask_one, count, at_once)
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    return Run(count=len(latencies), seconds=seconds, cpu=cpu, latencies=latencies)


async def _ask_pykka_from_loop(ref: ActorRef[Any], message: Tick) -> object:
    """In a thread: awaiting a future of pykka's blocks the loop."""
    return await asyncio.to_thread(_ask_pykka, ref, message)


async def _ask_ours_from_loop(ref: ActorRef[Any], message: Tick) -> object:
    return await ask(ref, message, timeout=PATIENCE_S)


async def _ask_many(
    ref: ActorRef[Any], ask_one: Callable[[ActorRef[Any], Tick], Awaitable[object]], count: int, at_once: int
) -> list[float]:
    latencies: list[float] = []

    async def one_after_another() -> None:
        for number in range(count // at_once):
            asked = time.monotonic()
            await ask_one(ref, Tick(number))
            latencies.append(time.monotonic() - asked)

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return latencies
