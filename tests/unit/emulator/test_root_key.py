"""Replacing the root key, where there is nothing to replace."""

import subprocess
import sys

import pytest

from tests.emulator.root_key import put_root_key


def test_a_process_without_the_library_is_told_so() -> None:
    program = "from tests.emulator.root_key import put_root_key; put_root_key(bytes(32))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "RootKeyError: found WhatsApp's root key 0 times" in ended.stderr


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        put_root_key(bytes(31))
