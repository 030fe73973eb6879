"""A clinic's requests and replies: the NATS micro service ``plantao`` in its account.

==============================  ====================================================================================
request                         ``clinic.<c>.channel.<ch>.rpc.<verb>`` or ``clinic.<c>.rpc.<verb>``: an empty body, or
                                a map in JSON or msgpack
reply                           in the request's encoding (JSON to an empty one): ``{"v": 1, …}``
refusal                         ``{"v": 1, "error": {"code", "message", "field"?}}`` and the headers
                                ``Nats-Service-Error`` and ``Nats-Service-Error-Code``
==============================  ====================================================================================

==============================  ==================================  ================================================
verbs of a channel              body                                reply
==============================  ==================================  ================================================
``status`` ``connect``          (none)                              the channel (``ChannelSnapshot``)
``disconnect`` ``suspend``
``resume`` ``logout``
``pair``                        ``phone``? (digits)                 ``code``, ``phone``, ``expires_at``; without a
                                                                    phone as ``qr``
``qr``                          (none)                              ``code``, ``expires_at``
``check``                       ``phones`` (1 to 50, digits)        ``items``: ``phone``, ``on_whatsapp``, ``jid``
``mark_read``                   ``chat``, ``ids`` (1 to 100),       nothing but ``v``
                                ``from``? (in a group: whose)
``presence``                    ``presence`` (available             nothing but ``v``
                                unavailable typing paused),
                                ``chat``?
``command`` ``cancel``          ``id`` of the command               the command (``CommandView``)
``release`` ``replay``
``discard``
==============================  ==================================  ================================================

==============================  ==================================  ================================================
verbs of a clinic               body                                reply
==============================  ==================================  ================================================
``channels``                    (none)                              ``items``: its channels (``ChannelSnapshot``)
``stats``                       (none)                              ``ClinicStats``
==============================  ==================================  ================================================

What changes something is in the audit, and is refused as ``busy`` if there is too much of it.

A service serves one clinic: the clinic's id comes from here, never from a request.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct
from nats import micro
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER, Request

from gateway.access.windows import Windows
from gateway.audit.around import audited
from gateway.nats.auditing import ACTIONS, CHANGES_PER_MINUTE, who_asks
from gateway.nats.headers import passed_on
from gateway.nats.requests import OF_CHANNEL, OF_CLINIC, Ask, RefusalBody, RefusalCode, RefusalReason, Target, answer_of
from protocol import subjects
from protocol.audit import Audit
from protocol.codec import Encoding, encode, encoding_of
from protocol.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PlantaoError,
    UnavailableError,
)
from protocol.ids import check_name
from protocol.operations import Operations
from protocol.subjects import ClinicVerb, Verb

log = structlog.get_logger(__name__)

VERSION: Final = "1.0.0"
"""Of the rpc contract."""
TIMEOUT: Final = 90.0
"""Seconds after which a request is answered with ``timeout``; connecting may take 60."""
MAX_CONCURRENT: Final = 64
"""Requests of one clinic under way at once; those above are refused as ``busy``."""


class TooManyError(PlantaoError):
    """A clinic changes more than stands in the audit; ``seconds`` until it may again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"at most {CHANGES_PER_MINUTE} changes a minute: again in {ceil(seconds)} seconds")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was not done. ``status`` is as in HTTP."""

    code: RefusalCode
    status: int
    message: str
    field: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> "Refusal":
        """The refusal for ``error``; what we don't know is ``internal`` and keeps its words to itself."""
        match error:
            case InvalidInputError():
                return cls("invalid_request", 400, str(error), error.field)
            case NotFoundError():
                return cls("not_found", 404, str(error))
            case ConflictError() | AlreadyExistsError():
                return cls("conflict", 409, str(error))
            case TooManyError():
                return cls("busy", 503, str(error))
            case UnavailableError():
                return cls("unavailable", 503, str(error))
            case TimeoutError():
                return cls("timeout", 504, f"not done within {TIMEOUT:g} s")
            case PlantaoError():
                return cls("failed", 500, str(error))
            case _:
                return cls("internal", 500, "an error that Plantão does not know; see its log")

    def body(self) -> dict[str, Any]:
        """As it stands in the reply."""
        reason = RefusalReason(code=self.code, message=self.message, field=self.field)
        body: dict[str, Any] = msgspec.to_builtins(RefusalBody(error=reason))
        return body


class ClinicRpc:
    """The service of one clinic; ``start`` again with each new connection. On the loop's thread."""

    def __init__(self, clinic: str, operations: Operations, audit: Audit) -> None:
        self._clinic = clinic
        self._operations = operations
        self._audit = audit
        self._running: set[asyncio.Task[None]] = set()
        self._changes = Windows(60.0, time.monotonic)

    async def start(self, nc: Client) -> None:
        """Listen on ``nc``, for as long as it lives. Raises the client library's errors."""
        await self.stop()
        service = await micro.add_service(
            nc,
            name=subjects.SERVICE,
            version=VERSION,
            description=f"WhatsApp channels of the clinic {self._clinic}",
        )
        endpoints = {verb.value: subjects.rpc(self._clinic, "*", verb) for verb in Verb}
        endpoints |= {verb.value: subjects.clinic_rpc(self._clinic, verb) for verb in ClinicVerb}
        for name, subject in endpoints.items():
            await service.add_endpoint(name=name, subject=subject, handler=self._accept)
        for root in (subjects.channel_root(self._clinic, "*"), f"clinic.{self._clinic}"):
            await nc.subscribe(f"{root}.rpc.*", queue=subjects.SERVICE, cb=self._accept_unknown)
        await nc.flush()

    async def stop(self) -> None:
        """Give up what is under way."""
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _accept_unknown(self, msg: Msg) -> None:
        channel, verb = _parts(msg.subject)
        if msg.reply and verb not in list(ClinicVerb if channel is None else Verb):
            await self._accept(Request(msg))

    async def _accept(self, request: Request) -> None:
        """Handlers of one endpoint run one after another: the work is done in a task of its own."""
        work = self._serve(request) if len(self._running) < MAX_CONCURRENT else self._refuse_busy(request)
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, request: Request) -> None:
        channel, verb = _parts(request.subject)
        correlation = passed_on(request.headers).get(subjects.HEADER_CORRELATION)
        if correlation is not None:  # of this task alone
            structlog.contextvars.bind_contextvars(correlation_id=correlation)
        try:
            outcome = await self._audited(channel, verb, request)
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a reply
            refusal = Refusal.of(error)
            known = isinstance(error, (PlantaoError, TimeoutError))
            (log.info if known else log.error)(
                "rpc_refused",
                clinic=self._clinic,
                channel=(channel or "")[:64],
                verb=verb[:64],
                code=refusal.code,
                exc_info=None if known else error,
            )
            await self._refuse(request, refusal)
        else:
            await self._reply(request, answer_of(outcome))

    async def _audited(self, channel: str | None, verb: str, request: Request) -> Struct | None:
        work = partial(self._outcome, channel, verb, request.data)
        if channel is None or verb not in ACTIONS:
            return await work()
        wait = self._changes.take(self._clinic, CHANGES_PER_MINUTE)
        if wait is not None:
            raise TooManyError(wait)
        reply: str = request._msg.reply  # the library shows it to nobody
        subject = (who_asks(reply), ACTIONS[verb], self._clinic, check_name("channel", channel))
        return await audited(self._audit, subject, work, _status)

    async def _outcome(self, channel: str | None, verb: str, body: bytes) -> Struct | None:
        known: Mapping[Any, Ask[Any]] = OF_CLINIC if channel is None else OF_CHANNEL
        target = Target(self._clinic, "" if channel is None else check_name("channel", channel))
        if verb not in known:
            raise InvalidInputError("verb", f"one of {', '.join(known)}; got {verb[:64]!r}")
        async with asyncio.timeout(TIMEOUT):
            return await known[verb](self._operations, target, body)

    async def _refuse_busy(self, request: Request) -> None:
        await self._refuse(request, Refusal("busy", 503, f"{MAX_CONCURRENT} requests of this clinic are under way"))

    async def _refuse(self, request: Request, refusal: Refusal) -> None:
        headers = {ERROR_HEADER: refusal.message, ERROR_CODE_HEADER: str(refusal.status)}
        await self._reply(request, refusal.body(), headers)

    async def _reply(self, request: Request, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        encoding = encoding_of(request.data) if request.data else Encoding.JSON
        all_headers = {subjects.HEADER_CONTENT_TYPE: encoding.content_type, **(headers or {})}
        try:
            await request.respond(encode(body, encoding), headers=all_headers)
        except (NatsError, ValueError) as error:
            # Gone, or it never wanted a reply.
            log.warning("rpc_reply_lost", clinic=self._clinic, error=str(error))


def _status(outcome: Struct | Exception | None) -> int:
    return Refusal.of(outcome).status if isinstance(outcome, Exception) else 200


def _parts(subject: str) -> tuple[str | None, str]:
    """Channel (None in a request to the clinic) and verb."""
    tokens = subject.split(".")
    return tokens[3] if tokens[2] == "channel" else None, tokens[-1]
