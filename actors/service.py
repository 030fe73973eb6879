"""The actor of a part that runs on the loop or as an OS process: broker, bus, store, nursery, admin endpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from actors.loop import nothing
from protocol.interfaces import Failure, Loop, Service
from supervisor.actor import Actor, Link
from supervisor.reasons import Crash, ExitReason, Shutdown

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
ONE_DAY_S: Final = 86_400.0

log = structlog.get_logger(__name__)


class ServiceEndedError(Exception):
    """A service ended without having been asked to."""


@dataclass(frozen=True, slots=True)
class _Up:
    outcome: Failure | None


@dataclass(frozen=True, slots=True)
class _Ended:
    outcome: str | Failure


@dataclass(frozen=True, slots=True)
class _Stopped:
    outcome: Failure | None


class ServiceActor(Actor):
    """Up once the service is; crashes when it ends by itself; stops it when told to."""

    def __init__(self, link: Link, name: str, loop: Loop, service: Service) -> None:
        super().__init__(link)
        self._name = name
        self._loop = loop
        self._service = service
        self._starting = True
        self._stopping = False
        self._crash: Exception | None = None
        self._cancel: Callable[[], None] = nothing

    def initialize(self) -> bool:
        """Begin to start the service."""
        work = self._service.start()
        self._cancel = self._loop.spawn(work, lambda o: self.tell(_Up(Failure.of(o))), timeout=START_TIMEOUT_S)
        return False

    def handle(self, message: Any) -> None:
        """What became of the service."""
        match message:
            case _Up(outcome):
                self._on_up(outcome)
            case _Ended(outcome=Failure(error=TimeoutError())):
                self._watch()
            case _Ended(outcome=outcome) if not self._stopping:
                reason = str(outcome.error) if isinstance(outcome, Failure) else outcome
                self._stop_then(ServiceEndedError(f"{self._name} ended: {reason}"))
            case _Ended():
                pass
            case _Stopped(outcome):
                if outcome is not None:
                    log.error("service not stopped", service=self._name, error=str(outcome.error))
                self.exit(Shutdown() if self._crash is None else Crash(self._crash))
            case _:
                super().handle(message)

    def cleanup(self, reason: ExitReason) -> None:
        """Wait for nothing any more."""
        self._cancel()

    def given_up(self) -> None:
        """Wait for nothing any more; who is started in this actor's place begins by stopping what is left."""
        self._cancel()

    def facts(self) -> dict[str, object]:
        """The pid, if it is an OS process."""
        pid = getattr(self._service, "pid", None)
        return {} if pid is None else {"pid": pid}

    def _on_up(self, outcome: Failure | None) -> None:
        self._starting = False
        if self._stopping:
            self._stop()
        elif outcome is not None:
            self.exit(Crash(outcome.error))
        else:
            log.info("service up", service=self._name)
            self._watch()
            self.started()

    def _watch(self) -> None:
        work = self._service.wait()
        self._cancel = self._loop.spawn(work, lambda outcome: self.tell(_Ended(outcome)), timeout=ONE_DAY_S)

    def shut_down(self, reason: ExitReason) -> None:
        """Stop the service; this actor ends when it has ended."""
        self._stop_then(None)

    def _stop_then(self, crash: Exception | None) -> None:
        """Stop what is left of it, so that it can be started again; one that is starting is first kept from it."""
        if self._stopping:
            return
        self._stopping = True
        self._crash = crash
        if self._starting:
            self._cancel()
        else:
            self._stop()

    def _stop(self) -> None:
        work = self._service.stop(timeout=STOP_TIMEOUT_S)
        self._loop.spawn(work, lambda o: self.tell(_Stopped(Failure.of(o))), timeout=STOP_TIMEOUT_S * 2)
