"""Does what the plan says, to a node that runs."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from tests.acceptance.node import Node, descendants
from tests.emulator.client import EmulatorProcess
from tests.storm.evidence import Struck
from tests.storm.plan import Key, Strike, What

_PATIENCE_S: Final = 20.0
"""How long a victim that is not there is waited for."""
_LOOK_S: Final = 0.05


class NoVictimError(Exception):
    """Whoever was to be killed is not there."""


class Striker:
    """``done`` are the strikes so far; ``skipped`` those whose victim was not there for too long."""

    def __init__(
        self, node: Node, emulator: EmulatorProcess, channels: Sequence[Key], phones: dict[Key, str], random: Random
    ) -> None:
        self._node = node
        self._emulator = emulator
        self._channels = channels
        self._phones = phones
        self._random = random
        self._slow: set[asyncio.Task[None]] = set()
        self._left: list[Strike] = []
        self.done: list[Struck] = []
        self.skipped: list[Strike] = []

    def left(self) -> float:
        """About how many seconds there will be strikes."""
        return sum(strike.takes for strike in self._left)

    async def play(self, plan: Sequence[Strike], until: float, say: Callable[[str], None]) -> None:
        """All of them, or as many as can be done before ``until`` (monotonic seconds)."""
        self._left = list(plan)
        while self._left:
            strike = self._left[0]
            await asyncio.sleep(strike.after)
            if time.monotonic() > until:
                say(f"out of time: {len(self._left)} strikes are not done")
                self.skipped += self._left
                self._left = []
                break
            at = time.time()
            try:
                done = replace(strike, key=await self._strike(strike))
            except NoVictimError:
                self.skipped.append(strike)
                say(f"no victim: {strike}")
                continue
            finally:
                self._left.pop(0)
            self.done.append(Struck(done, at, max(time.time(), at + (strike.lasts if not strike.what.kills else 0))))
            say(str(done))
        await asyncio.gather(*self._slow)

    async def _strike(self, strike: Strike) -> Key | None:
        """The channel that was hit, None for all."""
        match strike.what:
            case What.PORT:
                return await self._kill_port(strike.key)
            case What.MAIN:
                await self._kill_main(strike.lasts)
            case What.BROKER:
                await self._kill_broker()
            case What.CUT:
                await self._emulator.cut(self._phones[strike.key] if strike.key else None)
                return strike.key
            case What.SLOW:
                task = asyncio.create_task(self._slow_down(strike))
                self._slow.add(task)
                task.add_done_callback(self._slow.discard)
                return strike.key
        return None

    async def _kill_port(self, key: Key | None) -> Key:
        """Of this channel, or, if that has none, of any other."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if key is not None:
                with contextlib.suppress(OSError, ValueError, KeyError):
                    pid = self._node.port_pid(*key)
                    if pid in descendants(self._node.pid):
                        os.kill(pid, signal.SIGKILL)
                        return key
            key = self._random.choice(self._channels)
            await asyncio.sleep(_LOOK_S)
        raise NoVictimError

    async def _kill_broker(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(StopIteration, ProcessLookupError):
                os.kill(self._node.child("nats-server"), signal.SIGKILL)
                return
            await asyncio.sleep(_LOOK_S)
        raise NoVictimError

    async def _kill_main(self, down: float) -> None:
        """As systemd would, it is started again: with the same directories, after ``down`` seconds."""
        await asyncio.to_thread(self._node.kill)
        await self._node.close_http()
        await asyncio.sleep(down)
        await asyncio.to_thread(self._node.start)
        await self._node.open_http()

    async def _slow_down(self, strike: Strike) -> None:
        phone = self._phones[strike.key] if strike.key else None
        fault = await self._emulator.fault("slow", phone=phone, latency=strike.latency, second=strike.second)
        await asyncio.sleep(strike.lasts)
        await self._emulator.clear(fault)
