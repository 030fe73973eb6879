"""The emulator's nursery: Plantão's own, with a hook."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from tests.emulator import nursery
from tests.emulator.root_key import RootKeyError


class RecordingNursery(ModuleType):
    """Stands in for gateway.whatsapp.nursery."""

    def __init__(self) -> None:
        super().__init__("gateway.whatsapp.nursery")
        self.argv: Sequence[str] | None = None
        self.in_child: Callable[[], None] = lambda: None

    def main(self, argv: Sequence[str] | None = None, in_child: Callable[[], None] | None = None) -> int:
        assert in_child is not None
        self.argv, self.in_child = argv, in_child
        return 7


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> RecordingNursery:
    module = RecordingNursery()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_it_hands_everything_but_the_root_key_on(recording: RecordingNursery, tmp_path: Path) -> None:
    key = tmp_path / "root.key"
    key.write_bytes(bytes(32))
    assert nursery.main(["--control-fd", "9", "--root-key", str(key)]) == 7
    assert recording.argv == ["--control-fd", "9"]


def test_a_child_without_the_library_fails(
    recording: RecordingNursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "root.key"
    key.write_bytes(bytes(32))
    nursery.main(["--root-key", str(key)])
    monkeypatch.setattr("tests.emulator.root_key._writable_library_memory", list)
    with pytest.raises(RootKeyError):
        recording.in_child()
