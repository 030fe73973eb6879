"""The audit as a part of the tree: the node's beginning and end stand in it."""

import asyncio
import logging

from gateway.audit.keeper import NodeAudit
from protocol.errors import StoreUnavailableError

log = logging.getLogger(__name__)


class AuditService:
    """A ``Service``. ``version`` is the program's."""

    def __init__(self, audit: NodeAudit, version: str) -> None:
        self._audit = audit
        self._detail = {"version": version}

    async def start(self) -> None:
        """Goes on without an audit if there can be none now: clinics are on duty all the same."""
        await self._audit.open()
        await self._note("node.start")

    async def wait(self) -> str:
        """Never returns: what is wrong with the disk is found, and told, with each entry."""
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await ended

    async def stop(self, *, timeout: float) -> None:
        """The last entry, and the end."""
        await self._note("node.stop")
        await self._audit.close(timeout=timeout / 2)

    async def _note(self, action: str) -> None:
        try:
            await self._audit.noted("node", action, detail=self._detail)
        except StoreUnavailableError as error:
            log.error("%s is not in the audit: %s", action, error)
