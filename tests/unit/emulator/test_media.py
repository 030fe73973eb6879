"""Sealed files."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.media import MediaError, MediaKind, seal, unseal
from tests.emulator.media_store import MediaStore


@given(st.binary(max_size=500))
def test_what_is_sealed_is_unsealed_equal(plain: bytes) -> None:
    file = seal(plain, MediaKind.IMAGE)
    assert unseal(file.blob, file.key, MediaKind.IMAGE) == plain
    assert (file.plain_length, file.plain_sha256) == (len(plain), hashlib.sha256(plain).digest())
    assert file.sealed_sha256 == hashlib.sha256(file.blob).digest()


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_changed_file_or_key_is_refused(plain: bytes, data: st.DataObject) -> None:
    file = seal(plain, MediaKind.IMAGE)
    position = data.draw(st.integers(0, len(file.blob) - 1))
    changed = file.blob[:position] + bytes([file.blob[position] ^ 1]) + file.blob[position + 1 :]
    with pytest.raises(MediaError):
        unseal(changed, file.key, MediaKind.IMAGE)
    with pytest.raises(MediaError):
        unseal(file.blob, bytes(32), MediaKind.IMAGE)


def test_the_store_finds_a_file_whatever_the_client_appends_to_its_path() -> None:
    store = MediaStore()
    path = store.upload("token", b"blob")
    assert [store.get(path + tail) for tail in ("", "?ccb=1&hash=x", "&hash=x")] == [b"blob"] * 3
    assert len(store) == 1
    store.delete(path + "?x=y")
    assert store.get(path) is None
