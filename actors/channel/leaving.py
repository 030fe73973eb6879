"""How a channel leaves: first, if its node drains, it winds up; then, told to end, it waits until it is through."""

from collections.abc import Callable
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.keeping import Keeping
from actors.channel.life import PortPhase
from actors.channel.publishing import Publishing
from actors.channel.receiving import Receiving
from actors.channel.requests import Configure, HearConsent, ShowQr
from actors.channel.sending import Sending
from actors.drain import Drain, DrainBegan

_BEGIN_NOTHING: Final = (Configure, HearConsent, ShowQr)


class Leaving:
    """Belongs to one channel's actor. ``begun``: it was told to end."""

    def __init__(
        self,
        context: Context,
        drain: Drain,
        sending: Sending,
        receiving: Receiving,
        publishing: Publishing,
        keeping: Keeping,
    ) -> None:
        self._context = context
        self._drain = drain
        self._sending = sending
        self._receiving = receiving
        self._publishing = publishing
        self._keeping = keeping
        self.begun = False

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which message: the look that follows this one sees to it."""
        return {DrainBegan: lambda _: None}

    def refuses(self, request: object) -> bool:
        """Whether it is too late for that."""
        return self.begun or (self._drain.begun and not isinstance(request, _BEGIN_NOTHING))

    def begin(self) -> None:
        """Take and begin nothing any more."""
        self.begun = True
        self._sending.close()
        self._receiving.close()

    def look(self) -> None:
        """If the node drains: begin nothing, and say so once the results of what was begun are published."""
        if self._drain.begun:
            if not self._sending.closed:
                self._sending.close()
            if self._sending.flying == 0 and (self._publishing.idle or self._publishing.stuck):
                self.over()

    def through(self, phase: PortPhase) -> bool:
        """Whether nothing is left to do for a channel that is to end, whose port is in this ``phase``."""
        if not self.begun or phase is not PortPhase.ABSENT or self._sending.flying > 0:
            return False
        return self._keeping.idle and all(part.idle or part.stuck for part in (self._publishing, self._receiving))

    def over(self) -> None:
        """Nothing is under way in this channel any more, or it has ended. In any thread."""
        self._drain.through(self._context.clinic, self._context.channel)
