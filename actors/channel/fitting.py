"""Events that NATS can never take, for their size: they are told with less in them, rather than for ever again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec

from actors.channel.context import Context
from protocol.bus import Publication
from protocol.codes import ErrorCode
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.events import DeadLetter, ErrorBody, MessageEvent, ResultEvent

TOO_LARGE: Final = "meta was left out: with it the event is larger than NATS takes"


async def publish_fitting(context: Context, publications: Sequence[Publication]) -> None:
    """On the loop: publish in this order. What is too large is told without what makes it large, or dropped if there is
    nothing to leave out, with a word in the log: it must not stop those behind it.

    Raises:
        BusUnavailableError: some may not have been stored; repeat all, with ``since`` set.
    """
    begun = context.now().wall
    left = list(publications)
    while left:
        try:
            await context.bus.publish(left)
        except InvalidInputError as error:
            left = _without_refused(context, left, error, begun)
        else:
            return


def tried(publication: Publication, at: datetime | None) -> Publication:
    """``publication`` that may have been published since ``at``, or since what it says itself."""
    return publication if publication.since is not None else replace(publication, since=at)


def _without_refused(
    context: Context, publications: Sequence[Publication], error: InvalidInputError, begun: datetime
) -> list[Publication]:
    """What is to be published yet: those before the one that was refused are stored, those behind it may be."""
    refused = next((place for place, one in enumerate(publications) if one.message_id == error.field), None)
    if refused is None:  # it is about none of these: nothing can be left out
        raise BusUnavailableError(str(error)) from error
    smaller = _reduced(publications[refused])
    end = "dropped" if smaller is None else "reduced"
    log = context.log_of(None, publications[refused].headers)
    log.error(f"event {end}: NATS cannot take it", kind=publications[refused].kind, error=str(error))
    behind = [tried(one, begun) for one in publications[refused + 1 :]]
    return behind if smaller is None else [smaller, *behind]


def _reduced(publication: Publication) -> Publication | None:
    """The same with less in it; None if there is nothing to leave out."""
    match publication.event:
        case ResultEvent(meta=meta, error=error) as event if meta is not None:
            error = error or ErrorBody.of(ErrorCode.INTERNAL, TOO_LARGE)
            return replace(publication, event=msgspec.structs.replace(event, meta=None, error=error))
        case DeadLetter(meta=meta, body=body, history=history) as event if meta is not None or body or history:
            return replace(publication, event=msgspec.structs.replace(event, meta=None, body=b"", history=[]))
        case MessageEvent(text=text, reply_to=reply_to, media=media) as event if text or reply_to or media:
            return replace(publication, event=msgspec.structs.replace(event, text=None, reply_to=None, media=None))
        case _:
            return None
