"""Where a running node is found."""

import json
import os
from pathlib import Path

import pytest

from config import node_file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    (tmp_path / "runtime").mkdir()
    return tmp_path / "runtime"


def test_it_is_found_in_the_data_directory_and_lies_in_memory_for_its_owner_alone(data: Path, runtime: Path) -> None:
    node_file.write(data, runtime, http="http://127.0.0.1:8080", nats="nats://u:p@127.0.0.1:4222", certificate=None)
    assert json.loads((data / "node.json").read_bytes()) == {
        "http": "http://127.0.0.1:8080",
        "certificate": None,
        "nats": "nats://u:p@127.0.0.1:4222",
        "pid": os.getpid(),
    }
    assert (data / "node.json").readlink() == runtime / "node.json"
    assert (runtime / "node.json").stat().st_mode & 0o077 == 0


def test_a_certificate_lies_beside_it_as_it_is_shown(data: Path, runtime: Path) -> None:
    node_file.write(data, runtime, http="https://a", nats="tls://a", certificate=b"first")
    node_file.write(data, runtime, http="https://a", nats="tls://a", certificate=b"renewed")
    shown = json.loads((data / "node.json").read_bytes())["certificate"]
    assert Path(shown).read_bytes() == b"renewed"


def test_nothing_is_left_once_it_is_removed(data: Path, runtime: Path) -> None:
    node_file.write(data, runtime, http="https://a", nats="tls://a", certificate=b"first")
    node_file.remove(data, runtime)
    node_file.remove(data, runtime)
    assert [*data.iterdir(), *runtime.iterdir()] == []
