"""Where the settings say that the master keys come from. Blocks: a command may be asked."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from config.sections import Settings
from gateway.vault import MasterKey, master, master_rotation
from protocol.errors import ConflictError

log = structlog.get_logger(__name__)


def present(settings: Settings) -> MasterKey:
    """The master key of a node that starts, with the one before it while that is still needed.

    Raises:
        InvalidInputError: there is no key where one comes from.
        WrongKeyError: one that is needed is not given.
        StoreUnavailableError: a file in the data directory cannot be read or written.
    """
    keys = settings.keys
    given = _read(keys.master_file, keys.master, keys.master_command, "keys.master")
    if given is None:
        given, _ = master.from_data(settings.data)
        log.warning("the master key lies beside what it protects: set one of keys.*", source=given.source)
    return master_rotation.settled(settings.data, given, lambda: _candidates(settings))


def known(settings: Settings) -> Sequence[MasterKey]:
    """All that can be had, the present one first; makes none. The next one's file may not be there: it is only needed
    while keys are exchanged.

    Raises:
        InvalidInputError: there is no key where one comes from.
    """
    keys = settings.keys
    given = _read(keys.master_file, keys.master, keys.master_command, "keys.master")
    if given is None and master.key_file(settings.data).exists():
        given = master.from_file(master.key_file(settings.data))
    comes = keys.next_master_file is None or keys.next_master_file.exists()
    following = _next(settings) if comes else None
    found = (given, following, master_rotation.next_in_data(settings.data))
    return [key for key in found if key is not None]


def next_one(settings: Settings) -> MasterKey:
    """The one that is to take its place: where the present one is made in the data directory, so may this be.

    Raises:
        ConflictError: it is not said where it comes from.
        InvalidInputError: there is no key there.
        StoreUnavailableError: it cannot be made.
    """
    keys = settings.keys
    given = _next(settings)
    if given is not None:
        return given
    if keys.master_file is not None or keys.master or keys.master_command:
        raise ConflictError(f"no next master key is given: set {master_rotation.NEXT_SETTINGS}")
    return master_rotation.make_next_in_data(settings.data)


def _candidates(settings: Settings) -> Sequence[MasterKey]:
    found = (_next(settings), master_rotation.next_in_data(settings.data))
    return [key for key in found if key is not None]


def _next(settings: Settings) -> MasterKey | None:
    keys = settings.keys
    return _read(keys.next_master_file, keys.next_master, keys.next_master_command, "keys.next_master")


def _read(file: Path | None, text: str, command: Sequence[str], setting: str) -> MasterKey | None:
    if file is not None:
        return master.from_file(file)
    if text:
        return master.from_text(text.encode(), f"setting {setting}")
    return master.from_command(command) if command else None
