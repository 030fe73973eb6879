"""A clinic's requests and replies: the NATS micro service ``plantao`` in its account.

======================================  ============================================================================
request                                 ``clinic.<c>.channel.<ch>.rpc.<verb>``: an empty body, or a map in JSON or
                                        msgpack (``pair`` takes ``phone``: digits)
reply                                   in the request's encoding (JSON to an empty one): ``{"v": 1, …}``
refusal                                 ``{"v": 1, "error": {"code", "message", "field"?}}`` and the headers
                                        ``Nats-Service-Error`` and ``Nats-Service-Error-Code``
======================================  ============================================================================

A service serves one clinic: the clinic's id comes from here, never from a request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from msgspec import Meta, Struct
from nats import micro
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER, Request

from protocol import subjects
from protocol.codec import Encoding, decode, encode, encoding_of
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
from protocol.subjects import Verb

log = structlog.get_logger(__name__)

VERSION: Final = "1.0.0"
"""Of the rpc contract."""
TIMEOUT: Final = 90.0
"""Seconds after which a request is answered with ``timeout``; connecting may take 60."""
MAX_CONCURRENT: Final = 64
"""Requests of one clinic under way at once; those above are refused as ``busy``."""


class RpcRequest(Struct, frozen=True):
    """The body of any request; ``phone`` is for ``pair``."""

    v: Literal[1] = 1
    phone: Annotated[str, Meta(pattern=r"\A[1-9][0-9]{6,14}\Z")] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was not done. ``status`` is as in HTTP."""

    code: str
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
        error = {"code": self.code, "message": self.message}
        return {"v": 1, "error": error if self.field is None else {**error, "field": self.field}}


class ClinicRpc:
    """The service of one clinic; ``start`` again with each new connection. On the loop's thread."""

    def __init__(self, clinic: str, operations: Operations) -> None:
        self._clinic = clinic
        self._running: set[asyncio.Task[None]] = set()
        self._do: dict[Verb, Callable[[str, RpcRequest], Awaitable[Struct]]] = {
            Verb.STATUS: lambda channel, _: operations.channel(clinic, channel),
            Verb.CONNECT: lambda channel, _: operations.connect(clinic, channel),
            Verb.DISCONNECT: lambda channel, _: operations.disconnect(clinic, channel),
            Verb.SUSPEND: lambda channel, _: operations.suspend(clinic, channel),
            Verb.RESUME: lambda channel, _: operations.resume(clinic, channel),
            Verb.LOGOUT: lambda channel, _: operations.logout(clinic, channel),
            Verb.PAIR: lambda channel, request: operations.pair(clinic, channel, request.phone),
            Verb.QR: lambda channel, _: operations.qr(clinic, channel),
        }

    async def start(self, nc: Client) -> None:
        """Listen on ``nc``, for as long as it lives. Raises the client library's errors."""
        await self.stop()
        service = await micro.add_service(
            nc,
            name=subjects.SERVICE,
            version=VERSION,
            description=f"WhatsApp channels of the clinic {self._clinic}",
        )
        for verb in Verb:
            subject = subjects.rpc(self._clinic, "*", verb)
            await service.add_endpoint(name=verb.value, subject=subject, handler=self._accept)
        every_verb = f"{subjects.channel_root(self._clinic, '*')}.rpc.*"
        await nc.subscribe(every_verb, queue=subjects.SERVICE, cb=self._accept_unknown)
        await nc.flush()

    async def stop(self) -> None:
        """Give up what is under way."""
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _accept_unknown(self, msg: Msg) -> None:
        if msg.reply and msg.subject.rpartition(".")[2] not in list(Verb):
            await self._accept(Request(msg))

    async def _accept(self, request: Request) -> None:
        """Handlers of one endpoint run one after another: the work is done in a task of its own."""
        work = self._serve(request) if len(self._running) < MAX_CONCURRENT else self._refuse_busy(request)
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, request: Request) -> None:
        channel, verb = request.subject.split(".")[3], request.subject.rpartition(".")[2]
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._answer(channel, verb, request.data)
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a reply
            refusal = Refusal.of(error)
            known = isinstance(error, (PlantaoError, TimeoutError))
            (log.info if known else log.error)(
                "rpc_refused",
                clinic=self._clinic,
                channel=channel[:64],
                verb=verb[:64],
                code=refusal.code,
                exc_info=None if known else error,
            )
            await self._refuse(request, refusal)
        else:
            await self._reply(request, {"v": 1, **msgspec.to_builtins(answer)})

    async def _answer(self, channel: str, verb: str, body: bytes) -> Struct:
        check_name("channel", channel)
        if verb not in list(Verb):
            raise InvalidInputError("verb", f"one of {', '.join(Verb)}; got {verb[:64]!r}")
        request = decode(body, RpcRequest) if body else RpcRequest()
        return await self._do[Verb(verb)](channel, request)

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
