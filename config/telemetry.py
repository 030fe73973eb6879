"""OpenTelemetry, if it is wanted: an extra, which takes a third of a second to import and is not imported before."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from config.log import redact_text
from config.sections import Settings
from protocol.errors import InvalidInputError

if TYPE_CHECKING:
    from gateway.telemetry.export import SpanExport

EXTRA: Final = "plantao[otel]"


def span_export(settings: Settings) -> "SpanExport | None":
    """Whoever sends spans to ``telemetry.endpoint``; None: it is not set. Raises InvalidInputError."""
    endpoint = settings.telemetry.endpoint
    if not endpoint:
        return None
    try:
        from gateway.telemetry.export import SpanExport
    except ImportError as error:
        what = f"nothing, or that {EXTRA} is installed: pip install '{EXTRA}' ({error})"
        raise InvalidInputError("telemetry.endpoint", what) from error
    return SpanExport(endpoint, version("plantao"), redact_text)
