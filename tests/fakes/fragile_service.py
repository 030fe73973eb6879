"""A part of the node that fails when the test wants."""

import asyncio

from tests.fakes.bell import Bell


class FragileService:
    """``refusal``: raised by ``start``; ``held``: ``start`` does not return; ``end`` makes it end by itself."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.refusal: Exception | None = None
        self.stop_error: Exception | None = None
        self.held = False
        self.running = False
        self.story: list[str] = []
        self._ended = asyncio.Event()
        self._reason = ""
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self, reason: str) -> None:
        self._reason = reason
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._ended.set)

    async def start(self) -> None:
        self._tell("start")
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        if self.held:
            try:
                await asyncio.Event().wait()
            finally:
                self._tell("start cancelled")
        if self.refusal is not None:
            raise self.refusal
        self.running = True
        self._tell("up")

    async def wait(self) -> str:
        await self._ended.wait()
        self.running = False
        return self._reason

    async def stop(self, *, timeout: float) -> None:
        self.running = False
        self._tell("stop")
        if self.stop_error is not None:
            raise self.stop_error

    def _tell(self, what: str) -> None:
        self.story.append(what)
        self.bell.ring()
