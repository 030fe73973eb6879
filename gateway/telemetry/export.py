"""Spans on their way to a collector: OTLP over HTTP, in batches, from a thread of the library's.

What the collector does not take in time is dropped: nothing waits for it. The library reads its own environment
besides, such as ``OTEL_EXPORTER_OTLP_HEADERS`` for a key.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import requests
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from gateway import thread
from gateway.telemetry.spans import SpanName, attributes_of, name_of
from protocol.telemetry import Step, Stretch

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 4096
"""Spans; more are dropped."""
MOST_AT_ONCE: Final = 512
EXPORT_S: Final = 10.0
"""How long the collector may take for a batch."""
END_S: Final = 2.0
"""How long the node's end waits for it: a collector that is away would else cost most of ``shutdown.deadline_s``."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class _Ids(IdGenerator):
    """Gives out the ids that were asked for, else some by chance. On one thread."""

    def __init__(self) -> None:
        self.trace: int | None = None
        self.span: int | None = None

    def generate_trace_id(self) -> int:
        return self.trace or random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        return self.span or random.getrandbits(64) or 1


class SpanExport:
    """Implements ``protocol.telemetry.Telemetry`` and ``protocol.interfaces.Service``. ``masked``: takes numbers out of
    what senders chose."""

    def __init__(self, endpoint: str, version: str, masked: Callable[[str], str]) -> None:
        self._endpoint = f"{endpoint.rstrip('/')}/v1/traces"
        self._resource = Resource({"service.name": "plantao", "service.version": version})
        self._masked = masked
        self._ids = _Ids()
        self._provider: TracerProvider | None = None
        self._exporter: OTLPSpanExporter | None = None

    async def start(self) -> None:
        """Take spans on; asks nothing of the collector."""
        await self.stop(timeout=1.0)
        provider = TracerProvider(resource=self._resource, id_generator=self._ids, shutdown_on_exit=False)
        session = requests.Session()
        session.trust_env = self._endpoint.startswith("https:")  # in clear it goes to this machine, past any proxy
        exporter = OTLPSpanExporter(self._endpoint, timeout=EXPORT_S, session=session)
        provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING, max_export_batch_size=MOST_AT_ONCE)
        )
        self._provider, self._exporter = provider, exporter

    async def wait(self) -> str:
        """Never returns: a collector that is away is no trouble of the node."""
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await ended

    async def stop(self, *, timeout: float) -> None:
        """Send what waits, for ``timeout`` or ``END_S`` seconds at most."""
        provider, self._provider = self._provider, None
        exporter, self._exporter = self._exporter, None
        if provider is None or exporter is None:
            return
        ended = asyncio.wrap_future(thread.begin(provider.shutdown, "spans"))
        try:
            async with asyncio.timeout(min(timeout, END_S)):
                await ended
        except TimeoutError:
            # It tries no more; what it is at ends by itself.
            exporter.shutdown()  # type: ignore[no-untyped-call]  # of the library

    def went(self, stretch: Stretch) -> None:
        """See ``Telemetry``."""
        if self._provider is None:
            return
        try:
            self._record(self._provider, stretch, name_of(stretch))
        except Exception:  # a library's, and no command is to fail for the sake of its spans
            log.exception("span not recorded")

    def _record(self, provider: TracerProvider, stretch: Stretch, name: SpanName) -> None:
        if not name.sampled:
            return
        whole = stretch.step is Step.COMMAND
        parent = Context() if name.parent is None else _parent(name.trace, name.parent, remote=whole)
        self._ids.trace, self._ids.span = name.trace, name.span
        span = provider.get_tracer("plantao").start_span(
            f"plantao.{stretch.step}",
            context=parent,
            kind=SpanKind.CONSUMER if whole else SpanKind.INTERNAL,
            attributes=attributes_of(stretch, self._masked),
            start_time=_nanoseconds(stretch.begin),
        )
        error = stretch.facts.get("error_code")
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, str(error)))
        span.end(_nanoseconds(max(stretch.begin, stretch.end)))


def _parent(trace: int, span: int, *, remote: bool) -> Context:
    context = SpanContext(trace, span, is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(context), Context())


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000
