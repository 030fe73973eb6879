import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from config.cli.client import NodeAwayError, NodeClient
from protocol.errors import InvalidInputError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "admin.key").write_text("a-key\n")
    return tmp_path


def claim(data: Path, http: str, pid: int) -> None:
    (data / "node.json").write_text(json.dumps({"http": http, "pid": pid}))


@pytest.fixture
def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_without_a_node_it_is_said_how_to_start_one(data: Path) -> None:
    with pytest.raises(NodeAwayError) as raised:
        NodeClient.find(data, None, None)

    assert str(raised.value) == (
        f"no node is running for data directory {data}; start one with: plantao run --data {data}"
    )


def test_a_node_that_was_killed_does_not_run(data: Path, dead_pid: int) -> None:
    claim(data, "http://127.0.0.1:1", dead_pid)

    with pytest.raises(NodeAwayError, match="no node is running"):
        NodeClient.find(data, None, None)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"http": "http://h"}', '{"http": "http://h", "pid": "x"}'])
def test_a_node_file_that_makes_no_sense_is_named(data: Path, text: str) -> None:
    (data / "node.json").write_text(text)

    with pytest.raises(NodeAwayError, match=r"node\.json cannot be read"):
        NodeClient.find(data, None, None)


def test_the_running_node_is_found_with_its_key(data: Path) -> None:
    claim(data, "http://127.0.0.1:1234", os.getpid())

    assert NodeClient.find(data, None, None).url == "http://127.0.0.1:1234"


def test_a_url_needs_no_node_file(data: Path) -> None:
    assert NodeClient.find(data, "https://node.example/plantao/", None).url == "https://node.example/plantao"


@pytest.mark.parametrize("url", ["", "node", "ftp://h", "http://", "http://h:x", "http://h:0"])
def test_what_is_no_url_is_refused(data: Path, url: str) -> None:
    with pytest.raises(InvalidInputError, match="--url"):
        NodeClient.find(data, url, None)


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff"])
def test_a_key_file_without_a_key_is_refused(data: Path, content: bytes | None) -> None:
    other = data / "other.key"
    if content is not None:
        other.write_bytes(content)

    with pytest.raises(InvalidInputError, match=r"other\.key"):
        NodeClient.find(data, "http://127.0.0.1:1", other)


def test_a_node_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = NodeClient(f"http://127.0.0.1:{port}", "k")

    with pytest.raises(NodeAwayError, match=f"no node answers at http://127.0.0.1:{port}"):
        client.get("clinics")


def test_a_node_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = NodeClient(f"http://127.0.0.1:{listener.getsockname()[1]}", "k")

        with pytest.raises(NodeAwayError, match="did not answer within"):
            client.post("clinics", timeout=0.1)


def test_what_is_no_node_is_said_to_be_none() -> None:
    def greet(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"220 mail.example\r\n")
            connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        stranger = threading.Thread(target=greet, args=(listener,))
        stranger.start()
        with pytest.raises(NodeAwayError, match="is not a node"):
            NodeClient(f"http://127.0.0.1:{listener.getsockname()[1]}", "k").get("clinics")
        stranger.join()


def test_a_list_is_read_page_after_page() -> None:
    pages = {"": b'{"items": [1, 2], "next": "b"}', "b": b'{"items": [3], "next": null}'}

    def turn(listener: socket.socket) -> None:
        for _ in pages:
            with listener.accept()[0] as connection:
                asked = connection.recv(65_536).split(b" ")[1].decode()
                page = pages[asked.partition("cursor=")[2]]
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        node = threading.Thread(target=turn, args=(listener,))
        node.start()
        found = NodeClient(f"http://127.0.0.1:{listener.getsockname()[1]}", "k").whole_list("clinics")
        node.join()

    assert found == {"items": [1, 2, 3], "next": None}
