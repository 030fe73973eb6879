"""Which commands end unsent because they are not wanted any more: pure, a part of the outbox.

Their person wishes to hear nothing, or they were queued for another number, or before the clinic was put back. They are
taken out when the outbox is next swept: what is with the port by then says itself what became of it, and is looked at
again when it is back.
"""

from collections.abc import Callable, Mapping

from actors.channel.lines import Chat
from actors.channel.parcel import Disowned, Ended, Parcel, Place, final
from protocol.codes import ErrorCode


class Unwanted:
    """``held``: whether a parcel is still the outbox's."""

    def __init__(self, held: Callable[[Parcel], bool]) -> None:
        self._held = held
        self._silenced: set[str] = set()
        self._disowning: dict[ErrorCode, Disowned] = {}
        self._disowned: list[tuple[Parcel, Disowned]] = []

    def silence(self, chat: Chat, opted_out: bool) -> None:
        """Its person wishes to hear no more, or again."""
        chat.opted_out = opted_out
        self._silenced.add(chat.jid)

    def returned(self, chat: Chat) -> None:
        """Something waits in this chat again."""
        if chat.opted_out:
            self._silenced.add(chat.jid)

    def disown(self, what: Disowned) -> None:
        """That is not wanted from now on."""
        self._disowning[what.code] = what

    def look(self, parcel: Parcel) -> None:
        """Whether this one is disowned."""
        disowned = next((one for one in self._disowning.values() if one.covers(parcel.accepted)), None)
        if disowned is not None:
            self._disowned.append((parcel, disowned))

    def take(self, chats: Mapping[str, Chat]) -> Mapping[Parcel, Ended]:
        """Those that wait and are not wanted, each with its end."""
        ends: dict[Parcel, Ended] = {}
        for chat in filter(None, map(chats.get, self._silenced)):
            if chat.opted_out:
                for line in chat.lines.values():
                    for parcel in line.parcels.values():
                        ends[parcel] = final(parcel, "failed", ErrorCode.OPTED_OUT, ErrorCode.OPTED_OUT.meaning)
        self._silenced.clear()
        for parcel, disowned in self._disowned:
            if parcel.place is Place.LINE and self._held(parcel) and parcel not in ends:
                ends[parcel] = disowned.end(parcel)
        self._disowned.clear()
        return ends
