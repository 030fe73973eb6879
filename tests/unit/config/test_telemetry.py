"""OpenTelemetry is an extra: nobody who does not want it needs it, or pays for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import SettingsError, load
from config.telemetry import span_export
from protocol.errors import InvalidInputError


def test_unless_it_is_wanted_nothing_of_it_is_imported() -> None:
    said = "import sys, config.cli, config.node, config.tree; print([m for m in sys.modules if 'opentelemetry' in m])"
    shown = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"


def test_without_an_endpoint_there_is_none(tmp_path: Path) -> None:
    assert span_export(load(None, {"PLANTAO_DATA": str(tmp_path)})) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:4318", "http://localhost:4318", "https://collector.example", ""])
def test_a_collector_may_be_here_or_behind_tls(url: str) -> None:
    assert load(None, {"PLANTAO_TELEMETRY__ENDPOINT": url}).telemetry.endpoint == url


@pytest.mark.parametrize("url", ["http://collector.example:4318", "collector.example", "grpc://127.0.0.1:4317"])
def test_no_other_is_taken(url: str) -> None:
    with pytest.raises(SettingsError, match=r"telemetry\.endpoint"):
        load(None, {"PLANTAO_TELEMETRY__ENDPOINT": url})


def test_where_it_is_not_installed_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gateway.telemetry.export", None)
    settings = load(None, {"PLANTAO_TELEMETRY__ENDPOINT": "http://127.0.0.1:4318"})
    with pytest.raises(InvalidInputError, match=r"pip install 'plantao\[otel\]'"):
        span_export(settings)
