"""The port process: what runs in a child of the nursery, from its fork to its end.

::

    main thread    reads frames, sends beats, notices that main is gone or silent
    "connect"      neonize's connect(); below it neonize's own thread, on which the callbacks come
    "outflow"      sends main what came in, under credit, and what came of sends
    "sends", ...   see ``work``
    "leave"        the orderly end, while the main thread goes on granting credit and beating

What came in and what came of sends is written into the ``journal`` before main is told; what main has not heard when
the port ends, it reads there.

A port of which one thread has died of an exception is of no use any more: it hangs up and ends, and says of what in
its reason and in its log (``exits.fault``), so that its channel opens another.

It never returns: a normal interpreter exit would wait for neonize's thread for ever, so every way out is ``os._exit``.
"""

import ctypes
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from gateway.whatsapp import exits, library, lock, translate
from gateway.whatsapp.errors import scrub
from gateway.whatsapp.frames import (
    Answered,
    Beat,
    Call,
    Ended,
    Frame,
    FrameDecoder,
    FrameError,
    Grant,
    Holder,
    NotReady,
    Open,
    Ready,
    Send,
    Stop,
    ToPort,
    pack,
)
from gateway.whatsapp.journal import Journal
from gateway.whatsapp.outflow import Outflow
from gateway.whatsapp.session import Session
from gateway.whatsapp.work import FETCH_LIMIT_S, UPLOAD_LIMIT_S, Pool, Sends
from protocol.port import Failed, FetchMedia, PortAnswer, Sent

_FINISH_S: Final = 5.0
"""How long a send in flight may take to end when the port does."""
_BREAK_OFF_S: Final = 0.5
"""How long it may take when the port has to hang up at once."""
_FLUSH_S: Final = 1.0
"""How long main may take to take the rest; it is in the journal too."""
_SILENCE_S: Final = 0.2
_DRAIN_S: Final = 2.0
_DISCONNECT_S: Final = 2.0
_MEDIA_THREADS: Final = 4
_READ: Final = 1 << 16
_PR_SET_NAME: Final = 15
_LOG: Final = 2
_LEAVE: Final = "leave"
ENOUGH: Final = 4
"""Sends in line for longer than main takes to hear of those before them and to give more."""
_FAILED: Final = 1


def run(descriptor: int, log: int, in_child: Callable[[], None] | None) -> NoReturn:
    """Be a port: the whole life of the process. ``descriptor`` is its end of the socket pair, ``log`` takes what Go
    and we say when it dies (bounded, read by main afterwards)."""
    status = _FAILED
    try:
        _Port(_only(descriptor, log)).live(in_child)
    except Exception as error:  # noqa: BLE001 - the process ends of it here, and says so
        status = exits.FAULT
        _log_fault(exits.fault("main", error))
    finally:
        os._exit(status)


def _log_fault(words: str) -> None:
    with suppress(OSError):  # the log is full
        os.write(_LOG, f"\n{words}\n".encode())


def _only(descriptor: int, log: int) -> socket.socket:
    """Close every descriptor but these two; Go prints to stdout, with texts of messages, so it leads nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for number, target in ((null, 0), (null, 1), (log, _LOG)):
        os.dup2(number, target)
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - a Path here would only be turned into a string again
        if (number := int(entry)) > 2 and number != descriptor:
            try:
                os.close(number)
            except OSError:
                continue  # the one that listed the folder
    return socket.socket(fileno=descriptor)


class _Port:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writing = threading.Lock()
        self._leaving = threading.Lock()
        self._stopping = False
        self._breaking_off = False
        self._status = 0
        self._decoder: FrameDecoder[ToPort] = FrameDecoder(ToPort)  # type: ignore[arg-type]  # a union is no type[]
        self._heard = time.monotonic()

    def live(self, in_child: Callable[[], None] | None) -> None:
        """From the first frame to the last; returns only if the port could not be set up."""
        opening = self._opening()
        if opening is None:
            return
        threading.excepthook = self._on_thread_died
        sys.unraisablehook = self._on_callback_failed
        try:
            self._set_up(opening, in_child)
        except lock.StoreHeldError as error:
            self._write(NotReady(reason=str(error), holder=error.holder))
            return
        except (library.LibraryError, OSError) as error:  # the library, the lock or the journal
            self._write(NotReady(reason=scrub(str(error))))
            return
        self._write(Ready())
        threading.Thread(target=self._connect, name="connect", daemon=True).start()
        self._leave(self._serve(opening))

    # -- set-up --

    def _opening(self) -> Open | None:
        """The first frame; None if main changed its mind. Until it comes the port stays in the nursery's process
        group: main, which may not know its pid yet, finds it there."""
        while data := self._sock.recv(_READ):
            for frame in self._decoder.feed(data):
                return frame if isinstance(frame, Open) else None
        return None

    def _set_up(self, opening: Open, in_child: Callable[[], None] | None) -> None:
        os.setsid()
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_NAME, lock.COMM.encode(), 0, 0, 0)
        seconds, fraction = divmod(opening.silence_s, 1)
        limit = struct.pack("ll", int(seconds), int(fraction * 1_000_000))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        holder = Holder(pid=os.getpid(), main_pid=opening.main_pid, main_started=opening.main_started)
        lock.take(opening.spec.store, holder)
        library.load()
        if in_child is not None:
            in_child()
        self._store = opening.spec.store
        self._outflow = Outflow(
            Journal(self._store), opening.credit, lambda frames: self._write(*frames), self._break_off_soon
        )
        self._session = Session(opening.spec, self._outflow.put, self._leave_soon)
        self._media = Pool("media", _MEDIA_THREADS, limit=UPLOAD_LIMIT_S, overrun=self._replace_soon)
        self._others = Pool("calls", 1)
        self._sends = Sends(self._session.send, self._session.upload, self._media, self._tell)

    def _connect(self) -> None:
        try:
            self._session.connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason why the port ends
            if event := translate.from_raised(scrub(str(error)), self._store):
                self._outflow.put(event)
            self._leave(f"connect() raised: {scrub(str(error))}")
        if not self._stopping:
            self._leave("connect() returned")

    # -- the conversation --

    def _serve(self, opening: Open) -> str:
        """Read frames until there is a reason to end."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        next_beat = time.monotonic()
        while True:
            if (now := time.monotonic()) >= next_beat:
                next_beat = now + opening.beat_s
                self._write(Beat())
                self._media.look()
            if poll.poll(max(0.0, next_beat - time.monotonic()) * 1000):
                try:
                    data = self._sock.recv(_READ)
                except OSError:
                    data = b""
                if not data:
                    return "main is gone"
                self._heard = time.monotonic()
                try:
                    for frame in self._decoder.feed(data):
                        self._take(frame)
                except FrameError as error:
                    return f"main sent {error}"
            elif time.monotonic() - self._heard > opening.silence_s:
                return f"main was silent for {opening.silence_s:g} s"

    def _take(self, frame: ToPort) -> None:
        match frame:
            case Send():
                self._sends.put(frame.request)
            case Call():
                self._call(frame)
            case Grant():
                self._outflow.grant(frame.count)
            case Stop():
                threading.Thread(target=self._stop, name=_LEAVE, daemon=True).start()
            case Beat() | Open():
                pass

    def _call(self, call: Call) -> None:
        request = call.request
        if isinstance(request, FetchMedia):
            self._media.run(lambda: self._answer(call.id, self._session.fetch(request)), patience=FETCH_LIMIT_S)
        else:
            self._others.run(lambda: self._answer(call.id, self._session.do(request)))

    def _answer(self, id: int, answer: PortAnswer) -> None:
        self._write(Answered(id=id, answer=answer))

    def _tell(self, key: str, answer: Sent | Failed) -> None:
        """What came of a send; mostly on the thread that sent it, right after."""
        self._outflow.answer(key, answer, more=self._sends.waiting >= ENOUGH)

    def _write(self, *frames: Frame) -> bool:
        """Send ``frames`` whole; False if main does not take them any more (the main thread sees that by itself)."""
        data = b"".join([pack(frame) for frame in frames])
        with self._writing:
            try:
                self._sock.sendall(data)
            except OSError:
                return False
            return True

    # -- the end --

    def _stop(self) -> None:
        self._stopping = True
        self._sends.close()
        self._sends.wait_idle(_FINISH_S)
        self._drain()
        # What arrives in the silence counts as taken with WhatsApp, and neonize's stop() would throw it away.
        if self._quiet and _within(_DISCONNECT_S, self._session.hang_up):
            self._drain()
            if self._quiet:
                _within(_DISCONNECT_S, self._session.disconnect)
        self._leave("stopped")

    def _on_thread_died(self, died: threading.ExceptHookArgs) -> None:
        """threading: in the thread that has died."""
        if died.exc_value is not None and not isinstance(died.exc_value, SystemExit):
            self._fail(died.thread.name if died.thread else "unknown", died.exc_value)

    def _on_callback_failed(self, failed: "sys.UnraisableHookArgs") -> None:
        """sys: something was raised into neonize, or where nobody could catch it. If it has passed our code, an event
        may be lost; neonize's own faults do no harm here."""
        if failed.exc_value is not None and exits.is_ours(failed.exc_value):
            self._fail("callback", failed.exc_value)

    def _fail(self, thread: str, error: BaseException) -> None:
        """End, for a reason that is in the log even if main does not take it. The thread that was to end it is the one
        without which there is no orderly end."""
        words = exits.fault(thread, error)
        _log_fault(words)
        self._status = exits.FAULT
        if thread == _LEAVE:
            os._exit(self._status)
        self._break_off_soon(words)

    def _replace_soon(self, transfers: str) -> None:
        """Too many media transfers hang. All else is well, so the send in flight may end."""
        reason = f"{transfers}: the media servers, or the proxy, do not answer; opened anew to be rid of them"
        self._break_off_soon(reason, _FINISH_S)

    def _break_off_soon(self, reason: str, finish: float = _BREAK_OFF_S) -> None:
        if self._breaking_off:
            return
        self._breaking_off = True
        threading.Thread(target=self._break_off, args=(reason, finish), name=_LEAVE, daemon=True).start()

    def _break_off(self, reason: str, finish: float) -> None:
        """Take nothing more from WhatsApp. What it takes for received is still handed over. ``finish``: how long the
        send in flight may take, in seconds; if nobody keeps what comes in, that is not long."""
        self._sends.close()
        self._sends.wait_idle(finish)
        if self._session.logged_in and _within(_DISCONNECT_S, self._session.hang_up):
            self._drain()
        self._leave(reason)

    def _drain(self) -> None:
        """Let through what has arrived."""
        deadline = time.monotonic() + _DRAIN_S
        while (silence := self._session.silence) < _SILENCE_S and time.monotonic() < deadline:
            time.sleep(_SILENCE_S - silence)

    @property
    def _quiet(self) -> bool:
        """Whether the session may be ended: it is logged in, and no call is in flight but abandoned ones. Those
        have found their client long ago, and neonize's stop() does them no harm."""
        return self._session.logged_in and self._sends.wait_idle(0) and not (self._media.busy or self._others.busy)

    def _leave_soon(self, reason: str) -> None:
        threading.Thread(target=self._leave, args=(reason,), name=_LEAVE, daemon=True).start()

    def _leave(self, reason: str) -> NoReturn:
        """Let the send in flight end, say why, and go. Whoever comes second waits here for the first to exit."""
        self._leaving.acquire()
        self._sends.close()
        self._sends.wait_idle(_FINISH_S)
        self._outflow.flush(_FLUSH_S)
        if self._writing.acquire(timeout=_FLUSH_S):  # else main does not read, and finds the rest in the journal
            with suppress(OSError):
                self._sock.settimeout(_FLUSH_S)
                self._sock.sendall(pack(Ended(reason=reason)))
        os._exit(self._status)


def _within(seconds: float, work: Callable[[], None]) -> bool:
    """Do ``work`` on a thread of its own; whether it was done in time. If not, it is left behind."""
    thread = threading.Thread(target=work, name=work.__name__, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
