"""What the hand inside a node's process can do: break actors, and count what the process has.

Actors are named by their place in the tree (``clinics/acme/channels/reception``). Nothing in the product knows of this:
a request that no actor answers is answered by the actor base with an exception, and what the function raises that is
given this answer crashes the actor; if it does not return, the actor hangs.
"""

import asyncio
import gc
import json
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from pykka import ActorRef, ActorRegistry

from config.health import ROOT
from config.parts import Parts
from protocol.interfaces import Failure
from supervisor.actor import Actor, Call, NoAnswerError, kill, of, tell
from supervisor.api import ChildView
from supervisor.shell import Supervisor

_DESK_S = 30.0
_HAUNT_S = 0.005


class InjectedError(BaseException):
    """The fault. Not an Exception: nothing but the actor base may catch it."""


class GoneError(Exception):
    """There is no such actor now."""


class _Unanswered:
    """A request that no actor knows."""


def _root() -> ActorRef[Any]:
    for ref in ActorRegistry.get_by_class(Supervisor):
        supervisor = of(ref)
        if isinstance(supervisor, Supervisor) and supervisor.label == ROOT:
            return ref
    raise GoneError("no tree")


def _children(ref: ActorRef[Any] | None) -> list[ChildView]:
    actor = of(ref) if ref is not None else None
    return actor.children() if isinstance(actor, Supervisor) else []


def find(path: str) -> ActorRef[Any]:
    """The actor at ``path``. Raises GoneError."""
    ref = _root()
    for name in path.split("/"):
        found = next((child.ref for child in _children(ref) if child.id == name), None)
        if found is None or not found.is_alive():
            raise GoneError(path)
        ref = found
    return ref


class Hand:
    """One for the process. Its methods run in the threads of those who ask; what they return becomes JSON."""

    def __init__(self) -> None:
        self.parts: Parts | None = None
        self._release = threading.Event()
        self._hung: list[threading.Thread] = []
        self._haunted: dict[str, threading.Event] = {}

    # -- breaking --

    def crash(self, path: str) -> str:
        """Crash the actor at ``path``; which it was."""

        def burst(answer: object) -> None:
            if not isinstance(answer, NoAnswerError):  # it ended before it came to this
                raise InjectedError("chaos")

        return self._tell(path, burst)

    def hang(self, path: str) -> str:
        """Have the actor at ``path`` hang until ``release``; which it was."""

        def block(answer: object) -> None:
            if not isinstance(answer, NoAnswerError):
                release = self._release
                self._hung.append(threading.current_thread())
                release.wait()

        return self._tell(path, block)

    def kill(self, path: str) -> str:
        """Give the actor at ``path`` up; which it was."""
        ref = find(path)
        kill(ref, "chaos")
        return ref.actor_urn

    def _tell(self, path: str, reply: Callable[[object], None]) -> str:
        ref = find(path)
        if not tell(ref, Call(_Unanswered(), reply)):
            raise GoneError(path)
        return ref.actor_urn

    def haunt(self, path: str) -> None:
        """Crash whoever is at ``path``, and whoever comes in its place, until ``exorcise``."""
        ended = self._haunted[path] = threading.Event()

        def haunting() -> None:
            last = ""
            while not ended.wait(_HAUNT_S):
                try:
                    if find(path).actor_urn != last:
                        last = self.crash(path)
                except GoneError:
                    continue

        threading.Thread(target=haunting, name="chaos haunts", daemon=True).start()

    def exorcise(self, path: str) -> None:
        """Let it live."""
        self._haunted.pop(path).set()

    def release(self) -> int:
        """Let all go on that hang; how many there were."""
        release, self._release = self._release, threading.Event()
        hung, self._hung = self._hung, []
        release.set()
        return len(hung)

    # -- looking --

    def tree(self) -> list[dict[str, Any]]:
        """The tree below its root."""

        def node(child: ChildView) -> dict[str, Any]:
            return {
                "id": child.id,
                "phase": child.phase.value,
                "actor": child.ref.actor_urn if child.ref is not None and child.ref.is_alive() else None,
                "restarts": child.restarts,
                "last_exit": child.last_exit,
                "facts": {} if child.ref is None else of(child.ref).facts(),
                "children": [node(grandchild) for grandchild in _children(child.ref)],
            }

        return [node(child) for child in _children(_root())]

    def count(self) -> dict[str, Any]:
        """What the process has, by kind: threads, descriptors, child processes, the loop's tasks, actors in memory, and
        memory in MB; and which of the threads are hung by us."""
        hung = [thread for thread in self._hung if thread.is_alive()]
        return {
            "threads": _tally(thread.name for thread in threading.enumerate()),
            "hung": _tally(thread.name for thread in hung),
            "descriptors": _tally(_descriptors()),
            "processes": _tally(_processes()),
            "tasks": self._on_loop(_tasks),
            "actors": _tally(_actors()),
            "memory": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000,
        }

    def desk(self, method: str, *arguments: str) -> Any:
        """Ask the desk, as the admin endpoint would."""
        assert self.parts is not None
        parts = self.parts

        async def ask() -> Any:
            return msgspec.to_builtins(await getattr(parts.desk, method)(*arguments))

        return self._on_loop(ask)

    def _on_loop(self, work: Callable[[], Any]) -> Any:
        assert self.parts is not None
        outcome: list[Any] = []
        done = threading.Event()

        def deliver(found: Any) -> None:
            outcome.append(found)
            done.set()

        self.parts.loop.spawn(work(), deliver, timeout=_DESK_S)
        if not done.wait(_DESK_S * 2):
            raise TimeoutError("the loop does not answer")
        if isinstance(outcome[0], Failure):
            raise outcome[0].error
        return outcome[0]


async def _tasks() -> dict[str, int]:
    coroutines = (task.get_coro() for task in asyncio.all_tasks() if task is not asyncio.current_task())
    return _tally(getattr(coroutine, "__qualname__", str(coroutine)) for coroutine in coroutines)


def _tally(names: Any) -> dict[str, int]:
    """How many there are of each name, numbers left out."""
    return dict(sorted(Counter(re.sub(r"[-_ ]?\(?\d+\)?", "", name) for name in names).items()))


def _descriptors() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        kind, _, _ = target.partition(":[")
        found.append(target if target.startswith("anon_inode") else Path(kind).name)
    return found


def _actors() -> list[str]:
    """Those that are in memory, whether they have ended or not."""
    gc.collect()
    return [type(found).__name__ for found in gc.get_objects() if isinstance(found, Actor)]


def _processes() -> list[str]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        try:
            pids = (task / "children").read_text().split()
        except OSError:
            continue
        for pid in pids:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
            found.append(name if rest.split()[0] != "Z" else f"zombie {name}")
    return found


# -- the socket --


def listen(path: str, hand: Hand) -> None:
    """Serve requests (lines of JSON: ``[method, *arguments]``) on a Unix socket, in threads of our own."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    Path(path).unlink(missing_ok=True)
    listener.bind(path)
    listener.listen()

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, hand), name="chaos serves", daemon=True).start()

    threading.Thread(target=accept, name="chaos listens", daemon=True).start()


def _serve(connection: socket.socket, hand: Hand) -> None:
    with connection, connection.makefile("rwb") as file:
        for line in file:
            method, *arguments = json.loads(line)
            try:
                answer = {"answer": getattr(hand, method)(*arguments)}
            except Exception as error:  # noqa: BLE001 - the asker's to judge
                answer = {"error": type(error).__name__, "text": str(error)}
            file.write(json.dumps(answer).encode() + b"\n")
            file.flush()
