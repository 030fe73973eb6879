"""The threads of a port that call into neonize. A call may hang for ever; that must hold up nothing but its own kind.

::

    Sends       one thread, in the order in which they came. Media is uploaded first, by one of the pool's: meanwhile
                sends to other chats pass it, and later ones to the same chat wait behind it.
    Pool        a few threads for media, one for everything else; as many calls at once as it has threads. One that
                hangs for too long is abandoned, and another has its place.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.whatsapp.errors import failed
from protocol.codes import ErrorCode
from protocol.port import Failed, SendMedia, SendRequest, Sent

UPLOAD_LIMIT_S: Final = 60.0
"""How long an upload may take, its wait for a thread included, and how long any media transfer may hold up others:
neonize sets no limit."""
FETCH_LIMIT_S: Final = 30.0
"""How long a download that nobody has begun is of use: main waits so long for it, unless it is set otherwise there."""
MAX_ABANDONED: Final = 8
"""So many calls that do not return a port can bear: each keeps a thread, and its media in memory."""

Answer = Callable[[str, Sent | Failed], None]


@dataclass(eq=False, frozen=True, slots=True)
class _Job:
    work: Callable[[], None]
    give_up_at: float


class Pool:
    """At most ``size`` threads, which end when there is no work left; work beyond waits in order, for as long as it is
    wanted.

    A call that has run for ``limit`` seconds is abandoned: its thread is none of the ``size`` any more, and ends with
    the call, if ever. With ``max_abandoned`` of them no further thread is started, and ``overrun`` is told why the port
    must end: once, on the thread that looks, which it must not hold up. ``clock`` in seconds.
    """

    def __init__(
        self,
        name: str,
        size: int,
        *,
        limit: float = float("inf"),
        max_abandoned: int = MAX_ABANDONED,
        overrun: Callable[[str], None] = lambda _reason: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._size = size
        self._limit = limit
        self._max_abandoned = max_abandoned
        self._overrun = overrun
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._running: dict[_Job, float] = {}
        self._abandoned: set[_Job] = set()
        self._threads = 0
        self._told = False

    @property
    def busy(self) -> bool:
        """Whether any job waits or runs, but for the abandoned ones."""
        with self._lock:
            return bool(self._jobs or self._running)

    def run(self, work: Callable[[], None], *, patience: float = float("inf")) -> None:
        """Have ``work``, which must not raise, done by one of the threads; it is dropped if it has not begun within
        ``patience`` seconds."""
        with self._lock:
            self._jobs.append(_Job(work, self._clock() + patience))
            missing = self._hire()
        self._start(missing)

    def look(self) -> None:
        """Drop what nobody waits for any more and abandon what has run for too long; to be called now and then."""
        with self._lock:
            now = self._clock()
            self._jobs = deque(job for job in self._jobs if now < job.give_up_at)
            overdue = [job for job, began in self._running.items() if now - began >= self._limit]
            for job in overdue:
                del self._running[job]
            self._abandoned.update(overdue)
            self._threads -= len(overdue)
            missing = self._hire()
            overrun = self._is_overrun and not self._told
            self._told = self._told or overrun
            count = len(self._abandoned)
        self._start(missing)
        if overrun:
            self._overrun(f"{count} {self._name} transfers hang, each for more than {self._limit:g} s")

    @property
    def _is_overrun(self) -> bool:
        return len(self._abandoned) >= self._max_abandoned

    def _hire(self) -> int:
        """How many threads to start, which count from now on: for jobs that none of the free ones will take."""
        if self._is_overrun:
            return 0
        free = self._threads - len(self._running)
        missing = max(0, min(self._size - self._threads, len(self._jobs) - free))
        self._threads += missing
        return missing

    def _start(self, count: int) -> None:
        for _ in range(count):
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while (job := self._begin()) is not None:
            job.work()
            if not self._end(job):
                return

    def _begin(self) -> _Job | None:
        """The next job; None: there is none, and this thread counts no more."""
        with self._lock:
            now = self._clock()
            while self._jobs:
                job = self._jobs.popleft()
                if now < job.give_up_at:
                    self._running[job] = now
                    return job
            self._threads -= 1
            return None

    def _end(self, job: _Job) -> bool:
        """Whether the thread that did it is still one of the pool's."""
        with self._lock:
            self._abandoned.discard(job)
            return self._running.pop(job, None) is not None


@dataclass(eq=False, slots=True)
class _Item:
    request: SendRequest
    ready: bool
    give_up_at: float = float("inf")
    upload: Any = field(default=None)


class Sends:
    """The line of sends. ``send(request, upload)`` and ``upload(request)`` are the session's; ``answer`` gets each
    outcome; what ``send`` raises is one, ``internal``: it may have been sent."""

    def __init__(
        self,
        send: Callable[[SendRequest, Any], Sent | Failed],
        upload: Callable[[SendMedia], Any],
        media: Pool,
        answer: Answer,
        *,
        upload_limit: float = UPLOAD_LIMIT_S,
    ) -> None:
        self._send = send
        self._upload = upload
        self._media = media
        self._answer = answer
        self._upload_limit = upload_limit
        self._changed = threading.Condition()
        self._line: list[_Item] = []
        self._sending = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, request: SendRequest) -> None:
        """Queue a send; after ``close`` it is answered ``Failed`` at once."""
        media = isinstance(request, SendMedia)
        item = _Item(request, ready=not media)
        with self._changed:
            closed = self._closed
            if not closed:
                self._line.append(item)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="sends", daemon=True)
                    self._thread.start()
                if media:
                    item.give_up_at = time.monotonic() + self._upload_limit
                self._changed.notify_all()
        if closed:
            self._answer(request.key, _STOPPING)
        elif media:
            self._media.run(lambda: self._prepare(item), patience=self._upload_limit)

    @property
    def waiting(self) -> int:
        """How many there are beside the one that is under way."""
        return len(self._line)

    def close(self) -> None:
        """Take no more; what has not begun is answered ``Failed`` (nothing of it was sent)."""
        with self._changed:
            self._closed = True
            waiting, self._line = self._line, []
            self._changed.notify_all()
        for item in waiting:
            self._answer(item.request.key, _STOPPING)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no send is under way; False if one still is after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._sending, timeout)

    def _prepare(self, item: _Item) -> None:
        assert isinstance(item.request, SendMedia)
        with self._changed:
            if item not in self._line:  # answered already
                return
        upload = self._upload(item.request)
        with self._changed:
            item.upload = upload
            item.ready = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (item := self._next()) is not None:
            if not item.ready:
                answer: Sent | Failed = failed(ErrorCode.MEDIA_UNAVAILABLE, "the media server took too long")
            elif isinstance(item.upload, Failed):
                answer = item.upload
            else:
                answer = self._try(item)
            self._answer(item.request.key, answer)
            with self._changed:
                self._sending = False
                self._changed.notify_all()

    def _try(self, item: _Item) -> Sent | Failed:
        try:
            return self._send(item.request, item.upload)
        except Exception as error:  # noqa: BLE001 - the thread, and with it all sends of the port, would end in silence
            return failed(ErrorCode.INTERNAL, repr(error))

    def _next(self) -> _Item | None:
        with self._changed:
            while not self._closed:
                if item := self._choose(time.monotonic()):
                    self._line.remove(item)
                    self._sending = True
                    return item
                soonest = min((item.give_up_at for item in self._line), default=float("inf"))
                self._changed.wait(None if soonest == float("inf") else max(0.0, soonest - time.monotonic()))
            return None

    def _choose(self, now: float) -> _Item | None:
        """The first that is ready (or has waited too long for its upload) and has nobody of its chat before it."""
        held: set[str] = set()
        for item in self._line:
            if item.request.to not in held and (item.ready or now >= item.give_up_at):
                return item
            held.add(item.request.to)
        return None


_STOPPING: Final = failed(ErrorCode.NOT_CONNECTED, "the port is stopping; nothing was sent")
