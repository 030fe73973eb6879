"""The outbox of a channel, pure: which command is sent next, and what follows from each answer.

Laws: within one (chat, priority) commands go out in order of acceptance, also across retries; of one chat one command
is away at a time; a chat that waits holds up no other; nothing starves (see ``lines``); at most ``in_flight`` commands
are with the port at once. What may have been sent is in doubt: it goes nowhere, and its chat waits, until it is
resolved.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final, assert_never

from actors.channel.expiry import Expiry
from actors.channel.life import Now
from actors.channel.lines import Chat, Line, Lines
from actors.channel.pacing import Hold, Stop
from actors.channel.parcel import Again, Disowned, Doubted, Ended, Parcel, Place, Settled, expired, final
from actors.channel.unwanted import Unwanted
from protocol.codes import ErrorCode, Permanence
from protocol.events import ErrorBody
from protocol.ledger import Accepted, Contact
from protocol.port import Failed, Sent
from supervisor.backoff import Backoff

NOT_CONNECTED_PAUSE_S: Final = 0.25
"""Before a command that met a lost session is offered again, so that the news of the loss arrives first."""
FREE_ABSENCES: Final = 5
"""So often a command may be with a port that dies before it sends it, at no cost."""
RESTRICTED_PAUSE_S: Final = 900.0
"""Before a command that WhatsApp refused because it restricts this number is offered again; pacing may have it wait
longer, and does not know of those who are no new contacts for us and are for WhatsApp."""
FAVOUR: Final = timedelta(hours=24)
"""For so long after a person wrote, their chat counts as high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxPolicy:
    """``window``: commands at once that could go now, or next in their chat; ``backlog``, ``bytes``: all that is held,
    commands and what they say; ``in_flight``: with the port at once; ``attempts``: tries of each."""

    window: int = 64
    in_flight: int = 16
    backlog: int = 10_000
    bytes: int = 32 << 20
    attempts: int = 5
    on_uncertain: str = "resend"
    backoff: Backoff = field(default_factory=lambda: Backoff(base_s=1.0, cap_s=60.0))


Pace = Callable[[Parcel, Chat], Hold | Stop | None]
"""Asked for each command that is about to go; None lets it, and counts it."""


class Outbox:
    """Not thread-safe: it belongs to one channel's actor."""

    def __init__(self, policy: OutboxPolicy) -> None:
        self.policy = policy
        self._lines = Lines()
        self._parcels: OrderedDict[str, Parcel] = OrderedDict()
        self._away: dict[str, Parcel] = {}
        self._flying = self._bytes = self._seq = 0
        self._expiry = Expiry(self._holds)
        self._unwanted = Unwanted(self._holds)
        self._stopped_until = 0.0

    def __len__(self) -> int:
        return len(self._parcels)

    @property
    def room(self) -> int:
        """How many more commands may be taken from the queue; 0 until a good part of the window is free, so that a
        busy channel takes them in batches. What one fetch brings may go beyond ``bytes``."""
        policy = self.policy
        if self._bytes >= policy.bytes:
            return 0
        room = min(policy.window - self._flying - self._lines.soon, policy.backlog - len(self._parcels))
        return room if room >= max(1, policy.window // 4) else 0

    @property
    def flying(self) -> int:
        """Commands with the port, or about to be."""
        return self._flying

    @property
    def doubts(self) -> int:
        """Commands of which nobody knows whether they were sent."""
        return len(self._away) - self._flying

    @property
    def waits_since(self) -> datetime | None:
        """Of the command that is here for the longest: since when it waits. Asked after every message, so that it must
        not depend on how many there are: the first of a plain dict is found behind all that were deleted."""
        return next(iter(self._parcels.values())).waits_since if self._parcels else None

    def find(self, id: str) -> Parcel | None:
        """The command ``id``, if it is here."""
        return self._parcels.get(id)

    # -- coming --

    def add(self, commands: Iterable[Accepted], now: Now) -> list[Parcel]:
        """Take what the ledger owns; those that are in doubt, in this order."""
        doubts = []
        for accepted in commands:
            self._seq += 1
            parcel = Parcel.of(accepted, self._seq)
            self._parcels[parcel.id] = parcel
            self._bytes += parcel.size
            chat = self._lines.chat(parcel.chat)
            self._learn(chat, accepted.contact, now)
            if accepted.uncertain:
                parcel.place = Place.DOUBT
                self._leave(chat, parcel)
                doubts.append(parcel)
            else:
                chat.line(parcel.priority).parcels[parcel.id] = parcel
                chat.waiting += 1
            self._watch(parcel)
            self._lines.place(chat, now)
        return doubts

    def _learn(self, chat: Chat, contact: Contact, now: Now) -> None:
        chat.known = chat.known or contact.known
        if contact.opted_out:
            self._unwanted.silence(chat, True)
        if contact.last_in is not None:
            lasts_s = (contact.last_in + FAVOUR - now.wall).total_seconds()
            chat.favoured_until = max(chat.favoured_until, now.mono + lasts_s)

    def consented(self, people: Iterable[str], opted_out: bool) -> None:
        """Whoever is known under these JIDs wishes to hear no more, or again; they said so elsewhere."""
        for chat in filter(None, map(self._lines.chats.get, people)):
            self._unwanted.silence(chat, opted_out)

    def wrote(self, people: Sequence[str], opted_out: bool | None, now: Now) -> None:
        """These JIDs, all of one person, wrote to us, and said whether they wish to be written to."""
        for chat in filter(None, map(self._lines.chats.get, people)):
            chat.known = True
            chat.favoured_until = now.mono + FAVOUR.total_seconds()
            if opted_out is not None:
                self._unwanted.silence(chat, opted_out)
            for line in chat.lines.values():
                if line.held:
                    line.until, line.held = 0.0, False
            self._lines.place(chat, now)

    def reconsider(self, now: Now) -> None:
        """What pacing said does not hold any more: it is asked again."""
        self._stopped_until = 0.0
        self._lines.open_held(now)

    # -- going --

    def due(self, now: Now, pace: Pace = lambda _parcel, _chat: None) -> bool:
        """Whether there is something to give to the port; ``pace`` counts nothing here."""
        self._lines.wake(now)
        return self._next(now, pace) is not None

    def take(self, now: Now, most: int, pace: Pace = lambda _parcel, _chat: None) -> list[Parcel]:
        """What is to be given to the port now, in this order, but at most ``most``; each stays away until it is
        settled. The caller gives each a new attempt (``Parcel.begin``) before anything else is asked of this."""
        taken: list[Parcel] = []
        lines = self._lines
        lines.wake(now)
        most = min(most, self.policy.in_flight - self._flying)
        while len(taken) < most and (found := self._next(now, pace)) is not None:
            chat, line = found
            rank = chat.rank
            assert rank is not None
            _, parcel = line.parcels.popitem(last=False)
            chat.waiting -= 1
            chat.took(line)
            parcel.place = Place.PORT
            self._flying += 1
            self._leave(chat, parcel)
            lines.place(chat, now)
            lines.took(rank)
            taken.append(parcel)
        return taken

    def _next(self, now: Now, pace: Pace) -> tuple[Chat, Line] | None:
        """Whose head goes next; those whom pacing holds are closed on the way."""
        while now.mono >= self._stopped_until and (chat := self._lines.pick()) is not None:
            following = chat.next()
            assert following is not None
            line = following[1]
            match pace(line.head, chat):
                case Hold(seconds):
                    self._lines.close(chat, line, now.mono + seconds, held=True)
                    self._lines.place(chat, now)
                case Stop(seconds):
                    self._stopped_until = now.mono + seconds
                case _:
                    return chat, line
        return None

    def wait(self, now: Now) -> float | None:
        """Seconds until something is due that is not yet; None if nothing is."""
        waits = [wait for wait in (self._lines.wait(now),) if wait is not None]
        if (expiry := self._expiry.next) is not None:
            waits.append(max(0.0, (expiry - now.wall).total_seconds()))
        if self._stopped_until > now.mono and self._lines.any_ready:
            waits.append(self._stopped_until - now.mono)
        return min(waits, default=None)

    # -- what comes of an attempt --

    def away(self, key: str) -> Parcel | None:
        """The command whose attempt ``key`` is under way, or in doubt."""
        parcel = self._away.get(key.partition("#")[0])
        return parcel if parcel is not None and parcel.key == key else None

    def settle(self, parcel: Parcel, answer: Sent | Failed, now: Now, random: Random, *, cut: bool = False) -> Settled:
        """The port's answer for one that is away; ``cut``: given in the stead of a port that died."""
        if isinstance(answer, Sent):
            return self._end(parcel, Ended(parcel, "sent", answer.wa_id, answer.at), now)
        code = ErrorCode.of(answer.code)
        error = ErrorBody.of(code, answer.message)
        match code.permanence:
            case Permanence.PERMANENT if code is ErrorCode.EXPIRED:
                parcel.unspend()
                return self._end(parcel, expired(parcel), now)
            case Permanence.PERMANENT:
                return self._end(parcel, final(parcel, "failed", code, answer.message), now)
            case Permanence.NOT_CONNECTED:
                return self.unsent(parcel, now, NOT_CONNECTED_PAUSE_S)
            case Permanence.RESTRICTED:
                return self.unsent(parcel, now, RESTRICTED_PAUSE_S, held=True)
            case Permanence.UNKNOWN:
                parcel.unknown, parcel.cut = error, cut
                return self._doubt(parcel, error, now)
            case Permanence.TRANSIENT:
                if parcel.attempts >= self.policy.attempts:
                    return self._end(parcel, final(parcel, "failed", code, answer.message), now)
                return self._again(parcel, error, now, random)
            case _:
                assert_never(code.permanence)

    def unsent(self, parcel: Parcel, now: Now, delay_s: float = 0.0, *, held: bool = False) -> Again:
        """The attempt sent nothing, for certain, and does not count. ``held``: the pause is over when its person
        writes."""
        parcel.unspend()
        self._back(parcel, now, delay_s, held=held)
        return Again(parcel, delay_s, spent=False)

    def absent(self, parcel: Parcel, now: Now, random: Random) -> Ended | Again:
        """One in doubt was never sent. Nothing else should count for it, but it may be what kills ports."""
        parcel.absences += 1
        if parcel.cut and parcel.absences <= FREE_ABSENCES:
            return self.unsent(parcel, now)
        error = parcel.unknown or ErrorBody.of(ErrorCode.OUTCOME_UNKNOWN, "the port died under it, again and again")
        if parcel.attempts >= self.policy.attempts:
            return self._end(parcel, final(parcel, "failed", ErrorCode.of(error.code), error.message), now)
        return self._again(parcel, error, now, random)

    def _again(self, parcel: Parcel, error: ErrorBody, now: Now, random: Random) -> Again:
        delay = self.policy.backoff.delay(parcel.attempts, random)
        self._back(parcel, now, delay)
        return Again(parcel, delay, spent=True, error=error)

    def waited(self, parcel: Parcel, now: Now, message: str) -> Ended | Again:
        """One in doubt has waited long enough for a sign: ``on_uncertain`` decides."""
        code = ErrorCode.OUTCOME_UNKNOWN
        parcel.doubted = True
        if (parcel.command.on_uncertain or self.policy.on_uncertain) == "hold":
            return self._end(parcel, final(parcel, "held", code, message), now)
        if parcel.command.expired(now.wall):
            return self._end(parcel, expired(parcel), now)
        if parcel.attempts >= self.policy.attempts:
            return self._end(parcel, final(parcel, "failed", code, message), now)
        self._back(parcel, now, 0.0)
        return Again(parcel, 0.0, spent=True, in_doubt=True)

    def shown(self, id: str, run: int, wa_id: str, now: Now) -> Ended | None:
        """A receipt shows that this run was sent as ``wa_id``; None if that is known, or an attempt is under way,
        which says so itself."""
        parcel = self._parcels.get(id)
        if parcel is None or parcel.run != run or parcel.place is Place.PORT:
            return None
        end = Ended(parcel, "sent", wa_id, now.wall)
        if parcel.place is Place.DOUBT:
            return self._end(parcel, end, now)
        self._take_out(parcel, now)
        return end

    # -- ending without an attempt --

    def sweep(self, now: Now) -> list[Ended]:
        """Take out what has expired, and what is for people who wish to hear nothing: it is not sent any more."""
        ended: list[Ended] = []
        for parcel in self._expiry.over(now.wall):
            self._drop(parcel, now)
            ended.append(expired(parcel))
        for parcel, end in self._unwanted.take(self._lines.chats).items():
            self._take_out(parcel, now)
            ended.append(end)
        return ended

    def disown(self, what: Disowned, now: Now) -> list[Ended]:
        """Take that out, now and from now on. What is with the port says itself what became of it."""
        self._unwanted.disown(what)
        ended = []
        for parcel in list(self._parcels.values()):
            if what.covers(parcel.accepted) and parcel.place is Place.DOUBT:
                self._drop(parcel, now)
                ended.append(what.end(parcel))
            elif parcel.place is Place.LINE:
                self._unwanted.look(parcel)
        return ended + self.sweep(now)

    def cancel(self, parcel: Parcel, now: Now) -> Ended | None:
        """Take out one that waits or is in doubt; None if it is with the port."""
        if parcel.place is Place.PORT:
            return None
        self._drop(parcel, now)
        known = "; an attempt before that may have sent it" if parcel.doubted else ""
        return final(parcel, "failed", ErrorCode.CANCELLED, ErrorCode.CANCELLED.meaning + known)

    # -- keeping count --

    def _leave(self, chat: Chat, parcel: Parcel) -> None:
        chat.away += 1
        chat.doubts += parcel.place is Place.DOUBT
        self._away[f"{parcel.run}:{parcel.id}"] = parcel

    def _return(self, parcel: Parcel) -> Chat:
        chat = self._lines.chat(parcel.chat)
        chat.away -= 1
        chat.doubts -= parcel.place is Place.DOUBT
        self._flying -= parcel.place is Place.PORT
        del self._away[f"{parcel.run}:{parcel.id}"]
        parcel.place = Place.LINE
        return chat

    def _doubt(self, parcel: Parcel, error: ErrorBody, now: Now) -> Doubted:
        chat = self._lines.chat(parcel.chat)
        if parcel.place is Place.PORT:
            parcel.place = Place.DOUBT
            self._flying -= 1
            chat.doubts += 1
            self._watch(parcel)
        self._lines.place(chat, now)
        return Doubted(parcel, error)

    def _back(self, parcel: Parcel, now: Now, delay_s: float, *, held: bool = False) -> None:
        chat = self._return(parcel)
        line = chat.line(parcel.priority)
        line.put_back(parcel)
        chat.waiting += 1
        self._watch(parcel)
        self._unwanted.returned(chat)
        if delay_s > 0:
            self._lines.close(chat, line, now.mono + delay_s, held=held)
        self._lines.place(chat, now)

    def _end(self, parcel: Parcel, end: Ended, now: Now) -> Ended:
        chat = self._return(parcel)
        chat.known = chat.known or end.status == "sent"
        self._forget(parcel)
        self._lines.place(chat, now)
        return end

    def _drop(self, parcel: Parcel, now: Now) -> None:
        """Take out one that waits, or of which nobody knows whether it was sent."""
        if parcel.place is Place.DOUBT:
            parcel.doubted = True
            self._return(parcel)
            self._forget(parcel)
            self._lines.place(self._lines.chat(parcel.chat), now)
        else:
            self._take_out(parcel, now)

    def _take_out(self, parcel: Parcel, now: Now) -> None:
        chat = self._lines.chat(parcel.chat)
        line = chat.line(parcel.priority)
        if line.until and line.head is parcel:
            line.until = 0.0  # it was closed for this one
        del line.parcels[parcel.id]
        chat.waiting -= 1
        self._forget(parcel)
        self._lines.place(chat, now)

    def _holds(self, parcel: Parcel) -> bool:
        return self._parcels.get(parcel.id) is parcel

    def _forget(self, parcel: Parcel) -> None:
        del self._parcels[parcel.id]
        self._bytes -= parcel.size

    def _watch(self, parcel: Parcel) -> None:
        """Have it end when it should."""
        self._unwanted.look(parcel)
        self._expiry.watch(parcel, len(self._parcels))
