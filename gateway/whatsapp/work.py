"""The threads of a port that call into neonize. A call may hang for ever; that must hold up nothing but its own kind.

::

    Sends       one thread, in the order in which they came. Media is uploaded first, by one of the pool's: meanwhile
                sends to other chats pass it, and later ones to the same chat wait behind it.
    Pool        a few threads for media, one for everything else; as many calls at once as it has threads.
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
"""How long an upload may take. neonize sets no limit; one that is given up keeps its thread until it ends."""

Answer = Callable[[str, Sent | Failed], None]


class Pool:
    """At most ``size`` threads, which end when there is no work left; work beyond waits in order."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._threads = 0

    @property
    def busy(self) -> bool:
        """Whether any job waits or runs."""
        with self._lock:
            return self._threads > 0

    def run(self, job: Callable[[], None]) -> None:
        """Have ``job``, which must not raise, done by one of the threads."""
        with self._lock:
            self._jobs.append(job)
            if self._threads == self._size:
                return
            self._threads += 1
        threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._threads -= 1
                    return
                job = self._jobs.popleft()
            job()


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
            self._media.run(lambda: self._prepare(item))

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
