"""An OpenTelemetry collector on loopback, that keeps what it is sent."""

import gzip
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

Said = dict[str, Any]


class Collector:
    """``refusing``: it takes nothing. ``spans``: by name, what they say besides, in the order in which they came."""

    def __init__(self) -> None:
        self.refusing = False
        self.asked = 0
        self.spans: list[Said] = []
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    def named(self, name: str, **attributes: Any) -> list[Said]:
        """The spans with this name and these attributes."""
        return [
            span
            for span in self.spans
            if span["name"] == name
            and all(span["attributes"].get(f"plantao.{key}") == value for key, value in attributes.items())
        ]

    async def _take(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.refusing:
            return web.Response(status=400)
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.spans += _read(ExportTraceServiceRequest.FromString(body))
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )


def _read(sent: ExportTraceServiceRequest) -> Iterator[Said]:
    for of_resource in sent.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield {
                    "name": span.name,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "begin": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "error": span.status.message,
                    "resource": {each.key: each.value.string_value for each in of_resource.resource.attributes},
                    "attributes": {
                        each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes
                    },
                }
