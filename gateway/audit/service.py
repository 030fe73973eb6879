"""The audit as a part of the tree: the node's beginning and end stand in it."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from gateway.audit.keeper import NodeAudit
from protocol.errors import StoreUnavailableError

log = logging.getLogger(__name__)


LOOK_S: Final = 15.0
"""Between two attempts at an audit that could not be written."""


class AuditService:
    """A ``Service``. ``version`` is the program's. An audit that could not be written is tried every ``look_s``
    seconds: a node that is not ready for its sake is asked for nothing that would show that it is mended."""

    def __init__(self, audit: NodeAudit, version: str, *, look_s: float = LOOK_S) -> None:
        self._audit = audit
        self._detail = {"version": version}
        self._look_s = look_s

    async def start(self) -> None:
        """Goes on without an audit if there can be none now: clinics are on duty all the same."""
        await self._audit.open()
        await self._note("node.start")

    async def wait(self) -> str:
        """Never returns: what is wrong with the disk is found, and told, with each entry."""
        while True:
            await asyncio.sleep(self._look_s)
            if self._audit.trouble is not None and self._audit.idle:
                with suppress(StoreUnavailableError):
                    await self._audit.noted("node", "audit.mended")

    async def stop(self, *, timeout: float) -> None:
        """The last entry, and the end."""
        try:
            async with asyncio.timeout(timeout / 2):
                await self._note("node.stop")
        except TimeoutError:
            log.error("node.stop is not in the audit: the disk does not take it")
        await self._audit.close(timeout=timeout / 2)

    async def _note(self, action: str) -> None:
        try:
            await self._audit.noted("node", action, detail=self._detail)
        except StoreUnavailableError as error:
            log.error("%s is not in the audit: %s", action, error)
