import base64
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vault.master import (
    MasterKey,
    check_file,
    ensure_right,
    from_command,
    from_data,
    from_file,
    from_text,
    key_file,
)
from protocol.errors import InvalidInputError, StoreUnavailableError, WrongKeyError

KEY = bytes(range(200, 232))
MASTER = MasterKey(KEY, "a test")


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY),
        base64.b64encode(KEY) + b"\n",
        base64.urlsafe_b64encode(KEY),
        base64.urlsafe_b64encode(KEY).rstrip(b"="),
        KEY.hex().encode(),
        KEY.hex().upper().encode() + b"\r\n",
        KEY,
    ],
)
def test_a_key_is_read_however_it_is_written(text: bytes, tmp_path: Path) -> None:
    assert from_text(text, "a test").key == KEY
    (tmp_path / "key").write_bytes(text)
    assert from_file(tmp_path / "key").key == KEY


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (b"", "no key"),
        (base64.b64encode(KEY[:12]), "one of 12 bytes"),
        (b"!", "no key"),
        (base64.b64encode(KEY[:31]), "one of 31 bytes"),
        (KEY.hex().encode()[:32], "one of 16 bytes"),
        (KEY + b"\0", "no key"),
    ],
)
def test_what_is_no_key_says_what_one_is(text: bytes, got: str) -> None:
    with pytest.raises(InvalidInputError, match=f"openssl rand -base64 32.*the source a test gave {got}") as raised:
        from_text(text, "a test")
    assert len(text) < 2 or text.decode("latin-1") not in str(raised.value)


@given(st.binary(max_size=100))
def test_whatever_is_given_is_a_key_or_refused(text: bytes) -> None:
    with suppress(InvalidInputError):
        assert len(from_text(text, "a test").key) == 32


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=f"{tmp_path}/none: No such file"):
        from_file(tmp_path / "none")


def test_a_command_prints_the_key() -> None:
    text = base64.b64encode(KEY).decode()
    master = from_command([sys.executable, "-c", f"import sys; print('{text}'); print('secret', file=sys.stderr)"])
    assert master.key == KEY


def test_a_command_that_fails_says_so_without_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print('one secret'); print('two secret', file=sys.stderr); sys.exit(3)"
    with pytest.raises(InvalidInputError, match="ended with 3") as raised:
        from_command([sys.executable, "-c", program])
    assert "secret" not in str(raised.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize("command", [[], ["/no/such/command"], [""]])
def test_a_command_that_cannot_be_started_is_named(command: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="a command that can be started"):
        from_command(command)


def test_a_command_that_hangs_is_killed_with_what_it_started() -> None:
    begin = time.monotonic()
    with pytest.raises(InvalidInputError, match=r"ends in 0.2 s"):
        from_command(["/bin/sh", "-c", "sleep 30 & sleep 30"], timeout_s=0.2)
    assert time.monotonic() - begin < 5


def test_a_development_key_is_made_once_and_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first, made = from_data(data)
    again, made_again = from_data(data)
    assert (made, made_again) == (True, False)
    assert first == again
    assert key_file(data).stat().st_mode & 0o777 == 0o600
    assert [it.name for it in data.iterdir()] == ["master.key"]


def test_a_lost_development_key_is_not_made_anew(tmp_path: Path) -> None:
    ensure_right(tmp_path, from_data(tmp_path)[0])
    key_file(tmp_path).unlink()
    with pytest.raises(WrongKeyError, match=r"put .*master.key back"):
        from_data(tmp_path)
    assert not key_file(tmp_path).exists()


def test_the_right_key_is_told_from_another(tmp_path: Path) -> None:
    ensure_right(tmp_path, MASTER)
    ensure_right(tmp_path, MASTER)
    assert check_file(tmp_path).stat().st_mode & 0o777 == 0o600
    before = check_file(tmp_path).read_bytes()
    with pytest.raises(WrongKeyError, match=r"another master key .* set the one it was sealed with"):
        ensure_right(tmp_path, MasterKey(bytes(32), "zeros"))
    assert check_file(tmp_path).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PLANTAOC", b"garbage" * 20])
def test_a_damaged_check_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    check_file(tmp_path).write_bytes(content)
    with pytest.raises(StoreUnavailableError, match=r"master.check is damaged: put back") as raised:
        ensure_right(tmp_path, MASTER)
    assert not isinstance(raised.value, WrongKeyError)


def test_any_damage_of_the_check_is_noticed(tmp_path: Path) -> None:
    ensure_right(tmp_path, MASTER)
    whole = check_file(tmp_path).read_bytes()
    for at in range(len(whole)):
        check_file(tmp_path).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StoreUnavailableError):
            ensure_right(tmp_path, MASTER)


def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match=r"master.key cannot be made"):
        from_data(tmp_path / "data")
    with pytest.raises(StoreUnavailableError, match=r"master.check cannot be"):
        ensure_right(tmp_path / "data", MASTER)
