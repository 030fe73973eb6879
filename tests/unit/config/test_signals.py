"""What a node makes of SIGHUP."""

import signal
from collections.abc import Iterator
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from config import node


@pytest.fixture
def hang_up() -> Iterator[None]:
    """Is as it was, afterwards."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("ignored", "ends"), [(False, True), (True, False)])
def test_the_end_of_its_terminal_is_the_end_of_a_node_but_of_one_that_was_to_ignore_it(
    monkeypatch: pytest.MonkeyPatch, hang_up: None, ignored: bool, ends: bool
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    terminal = [True, False]
    monkeypatch.setattr(node, "_has_terminal", lambda: terminal.pop(0))
    news: SimpleQueue[Any] = SimpleQueue()

    with node._signals(news):
        signal.raise_signal(signal.SIGHUP)

    assert isinstance(news.get_nowait(), node._Signalled) is ends


def test_an_error_that_nobody_knows_keeps_a_node_on_duty_when_settings_are_read_again() -> None:
    def now() -> None:
        raise ZeroDivisionError

    parts: Any = SimpleNamespace(reloading=SimpleNamespace(now=now))
    with structlog.testing.capture_logs() as lines:
        node._reload(parts)

    assert [line["log_level"] for line in lines] == ["error"]
