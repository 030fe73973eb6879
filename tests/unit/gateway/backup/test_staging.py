"""Restores that a kill interrupted, as they are found on the disk."""

from pathlib import Path

import pytest

from gateway.backup.staging import Order, Staging, staging_found
from gateway.store.files import clinics_directory
from protocol.errors import StoreUnavailableError


def test_what_names_no_clinic_is_none(tmp_path: Path) -> None:
    Staging(tmp_path, "acme", tmp_path / "run").directory.mkdir(parents=True)
    (clinics_directory(tmp_path) / ".restoring-..").mkdir()
    (clinics_directory(tmp_path) / ".restoring-").mkdir()

    assert [staging.clinic for staging in staging_found(tmp_path, tmp_path / "run")] == ["acme"]


def test_a_damaged_order_is_named_with_its_clinic_and_the_mend(tmp_path: Path) -> None:
    staging = Staging(tmp_path, "acme", tmp_path / "run")
    staging.directory.mkdir(parents=True)
    staging.give(Order(step="committed", held_at=None))
    [file] = [path for path in staging.directory.iterdir() if path.is_file()]
    file.write_bytes(b"{")

    with pytest.raises(StoreUnavailableError, match=r"clinic acme: .*damaged: remove it"):
        staging.order()
