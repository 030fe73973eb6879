"""Which messages a stream has already, by their ``Nats-Msg-Id``."""

import asyncio
import json
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from gateway.nats import wire
from gateway.nats.link import Connection
from protocol.subjects import HEADER_MESSAGE_ID

_PAGE: Final = 2048
_PATIENCE: Final = 10.0
"""Seconds without a word from the server after which the search is given up."""
_ORPHAN_AFTER: Final = 60.0
_MARK: Final = f"\r\n{HEADER_MESSAGE_ID}:".encode()
_ENDS: Final = ("404", "408")


async def stored(
    connection: Connection, stream: str, subjects: Collection[str], ids: Collection[str], since: datetime
) -> frozenset[str]:
    """Those of ``ids`` that ``stream`` has on exactly these subjects, stored ``since`` then by the server's clock.

    Reads headers only, page by page, until all are found or there is no more. To give up when the connection is lost is
    the caller's business. Raises the client library's errors, and TimeoutError.
    """
    search = _Search(ids)
    nc = connection.nc
    inbox = nc.new_inbox()
    subscription = await nc.listen(inbox, search.receive)
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=since,
        filter_subjects=sorted(subjects),
        headers_only=True,
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        inactive_threshold=_ORPHAN_AFTER,
    )
    try:
        info = await connection.js.add_consumer(stream, config)
        try:
            if info.num_pending:
                next_page = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{info.name}"
                await _read(connection, search, next_page, inbox)
        finally:
            with suppress(NatsError):
                await connection.js.delete_consumer(stream, info.name)
    finally:
        with suppress(NatsError):
            await nc.unlisten(subscription)
    return frozenset(search.found)


async def _read(connection: Connection, search: "_Search", next_page: str, inbox: str) -> None:
    asked = json.dumps({"batch": _PAGE, "no_wait": True}).encode()
    while not search.over:
        search.turn(_PAGE)
        await connection.nc.publish(next_page, asked, inbox)
        while search.reading:
            search.news.clear()
            async with asyncio.timeout(_PATIENCE):
                await search.news.wait()
    if search.failure:
        raise JetStreamError(search.failure)


class _Search:
    """What was found so far. ``reading``: a page is under way."""

    def __init__(self, ids: Collection[str]) -> None:
        self._wanted = {one.encode(): one for one in ids}
        self._left = 0
        self.found: set[str] = set()
        self.over = not ids
        self.failure = ""
        self.news: Final = asyncio.Event()

    @property
    def reading(self) -> bool:
        return self._left > 0 and not self.over

    def turn(self, page: int) -> None:
        """A page was asked for."""
        self._left = page

    def receive(self, subject: bytes, reply: bytes, body: bytes, block: bytes | None) -> None:
        del subject, body
        if not reply:
            status = wire.status_of(block)
            if not status.startswith(_ENDS):
                self.failure = status or "an answer that says nothing"
            self.over = True
        else:
            self._note(block)
            self._left -= 1
            self.over = len(self.found) == len(self._wanted) or not wire.left_behind(reply)
        if not self.reading:
            self.news.set()

    def _note(self, block: bytes | None) -> None:
        _, mark, rest = (block or b"").partition(_MARK)
        if mark:
            found = self._wanted.get(rest.partition(b"\r\n")[0].strip())
            if found is not None:
                self.found.add(found)
