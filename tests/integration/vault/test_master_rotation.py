"""The master key is exchanged; wherever that is stopped, it goes on, and both keys are needed until it is done."""

import asyncio
import errno
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway import disk
from gateway.vault import KeyRotation, MasterKey, Vaults, master, master_rotation
from gateway.vault.keys import DataKey, key_file
from gateway.vault.node_key import ensure_node_key, node_key_file
from protocol.errors import ConflictError, InvalidInputError, StoreUnavailableError, WrongKeyError

OLD = MasterKey(b"o" * 32, "the old file")
NEW = MasterKey(b"n" * 32, "the new file")
OTHER = MasterKey(b"x" * 32, "another file")
CLINICS = ("east", "north", "south")


class StoppedError(BaseException):
    """As SIGKILL: nothing of the process goes on."""


def quiet(step: str, done: int = 0, total: int | None = None) -> None:
    pass


@dataclass(frozen=True)
class Node:
    """One that starts on ``data`` with these keys."""

    data: Path

    def start(self, given: MasterKey, *others: MasterKey) -> tuple[Vaults, KeyRotation]:
        key = master_rotation.settled(self.data, given, lambda: others)
        vaults = Vaults(self.data, key)

        def next_key() -> MasterKey:
            return others[0]

        rotation = KeyRotation(self.data, vaults, next_key)
        rotation.finish()
        return vaults, rotation

    def keys(self, vaults: Vaults) -> list[DataKey]:
        """All there are: they never change."""
        return [ensure_node_key(self.data, vaults.master), *(vaults.data_keys(it)[0] for it in CLINICS)]

    def wrapped_by(self) -> set[bytes]:
        files = [node_key_file(self.data), *(key_file(self.data, it) for it in CLINICS)]
        return {path.read_bytes()[10:18] for path in files}


@pytest.fixture
def node(data: Path) -> Node:
    return Node(data)


@pytest.fixture
def made(node: Node) -> list[DataKey]:
    """The keys of a node under the old master key."""
    return node.keys(node.start(OLD)[0])


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, *, after: bool) -> Callable[[], int]:
    """Stop right before, or after, the change of the disk with this number (from 0); how many there were. Who is
    stopped changes nothing any more, whatever it tries."""
    seen, stopped = 0, False

    def around(change: Callable[..., object]) -> Callable[..., object]:
        def changed(*given: object) -> object:
            nonlocal seen, stopped
            here = seen == step
            stopped = stopped or (here and not after)
            if stopped:
                raise StoppedError
            seen += 1
            try:
                outcome = change(*given)
            except FileNotFoundError:  # there was no draft left
                if not here:
                    raise
                outcome = None
            stopped = here
            if stopped:
                raise StoppedError
            return outcome

        return changed

    for name in ("replace", "unlink", "link"):
        monkeypatch.setattr(f"os.{name}", around(getattr(__import__("os"), name)))
    monkeypatch.setattr(disk, "sync_directory", around(disk.sync_directory))
    return lambda: seen


def test_all_keys_are_wrapped_by_the_next_and_the_old_one_opens_nothing(node: Node, made: list[DataKey]) -> None:
    vaults, rotation = node.start(OLD, NEW)
    said = list[tuple[str, int, int | None]]()
    assert asyncio.run(rotation.rotate_master(lambda *each: said.append((*each, None)[:3]))) == len(CLINICS) + 1
    assert said[0][0] == "next master key"
    assert said[1:] == [("keys", done, 4) for done in range(4)]
    assert (node.wrapped_by(), vaults.master, vaults.master.before) == ({NEW.id}, NEW, None)
    assert node.keys(vaults) == made
    assert node.keys(node.start(NEW)[0]) == made
    with pytest.raises(WrongKeyError, match=f"id {NEW.id.hex()}.* the old file .*set the one it was sealed with"):
        node.start(OLD)


def test_who_starts_with_both_after_it_uses_the_next(node: Node, made: list[DataKey]) -> None:
    asyncio.run(node.start(OLD, NEW)[1].rotate_master(quiet))
    vaults, rotation = node.start(OLD, NEW)
    assert (vaults.master, node.keys(vaults)) == (NEW, made)
    with pytest.raises(ConflictError, match="the next master key, from the new file, is the present one"):
        asyncio.run(rotation.rotate_master(quiet))
    assert node.start(NEW, OTHER)[0].master == NEW, "the next of the next is not needed yet"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(20))
def test_wherever_it_is_killed_it_goes_on_with_both_keys_at_the_next_start(
    node: Node, made: list[DataKey], step: int, after: bool
) -> None:
    rotation = node.start(OLD, NEW)[1]
    with pytest.MonkeyPatch.context() as patch:
        seen = stop_at(patch, step, after=after)
        with pytest.raises(StoppedError):
            asyncio.run(rotation.rotate_master(quiet))
    assert seen() == step + after
    for alone in (OLD, NEW):
        assert found_with(node, alone) in (made, "the other is needed")
    vaults, rotation = node.start(OLD, NEW)
    assert node.keys(vaults) == made
    if vaults.master == OLD:  # it was not begun
        asyncio.run(rotation.rotate_master(quiet))
    assert (node.wrapped_by(), vaults.master) == ({NEW.id}, NEW)
    assert node.keys(node.start(NEW)[0]) == made
    with pytest.raises(WrongKeyError):
        node.start(OLD)
    assert not list(node.data.rglob("*.draft"))
    assert not master_rotation.next_check_file(node.data).exists()


def found_with(node: Node, alone: MasterKey) -> list[DataKey] | str:
    """The keys, if this master key is all that it takes; nothing is changed."""
    try:
        return node.keys(Vaults(node.data, master_rotation.settled(node.data, alone, list)))
    except WrongKeyError as error:
        named = any(key.id.hex() in str(error) for key in (OLD, NEW))
        return "the other is needed" if named and "set " in str(error) else str(error)


def test_that_was_every_step(node: Node, made: list[DataKey]) -> None:
    rotation = node.start(OLD, NEW)[1]
    with pytest.MonkeyPatch.context() as patch:
        seen = stop_at(patch, 1000, after=False)
        asyncio.run(rotation.rotate_master(quiet))
    assert seen() == 20


def begun(node: Node) -> None:
    """A rotation that was killed when it was half through."""
    rotation = node.start(OLD, NEW)[1]
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 9, after=True)
        with pytest.raises(StoppedError):
            asyncio.run(rotation.rotate_master(quiet))
    assert node.wrapped_by() == {OLD.id, NEW.id}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((OLD,), rf"id {NEW.id.hex()} is not given: set keys.next_master_file, keys.next_master or keys.next_master_c"),
        ((OLD, OTHER), rf"id {NEW.id.hex()} is not given: set keys.next_master_file"),
        (
            (NEW,),
            rf"id {OLD.id.hex()} is needed for it, and not given: set it as keys.master_file.*as keys.next_master",
        ),
        ((NEW, OTHER), rf"id {OLD.id.hex()} is needed for it, and not given"),
        ((OTHER,), rf"id {NEW.id.hex()} is not given"),
    ],
    ids=["old alone", "old and another", "new alone", "new and another", "another"],
)
def test_a_key_that_is_needed_to_finish_is_named(
    node: Node, made: list[DataKey], given: Sequence[MasterKey], said: str
) -> None:
    begun(node)
    with pytest.raises(WrongKeyError, match=said):
        node.start(*given)


def test_which_of_the_two_is_called_next_does_not_matter(node: Node, made: list[DataKey]) -> None:
    begun(node)
    assert node.keys(node.start(NEW, OLD)[0]) == made
    assert node.wrapped_by() == {NEW.id}


def test_a_check_file_of_the_next_key_that_is_damaged_is_not_believed(node: Node, made: list[DataKey]) -> None:
    begun(node)
    path = master_rotation.next_check_file(node.data)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreUnavailableError, match=r"master\.next is damaged"):
        node.start(OLD, NEW)


async def test_a_clinic_that_comes_meanwhile_is_under_the_next_key(node: Node, made: list[DataKey]) -> None:
    vaults, rotation = node.start(OLD, NEW)
    comes = list[DataKey]()

    def progress(step: str, done: int = 0, total: int | None = None) -> None:
        if (step, done) == ("keys", 1):
            comes.extend(vaults.data_keys("west"))

    await rotation.rotate_master(progress)
    assert key_file(node.data, "west").read_bytes()[10:18] == NEW.id
    assert node.start(NEW)[0].data_keys("west") == comes


def test_a_damaged_key_file_holds_up_no_other_and_is_wrapped_when_it_is_mended(node: Node, made: list[DataKey]) -> None:
    path = key_file(node.data, "north")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    _, rotation = node.start(OLD, NEW)
    with pytest.raises(StoreUnavailableError, match=r"1 of 4 key files are not .*both are needed .*north.* is damaged"):
        asyncio.run(rotation.rotate_master(quiet))
    vaults, rotation = node.start(OLD, NEW)
    assert vaults.data_keys("south")[0] == made[3]
    with pytest.raises(WrongKeyError, match=f"id {OLD.id.hex()} is needed"):
        node.start(NEW)
    path.write_bytes(whole)
    assert asyncio.run(rotation.rotate_master(quiet)) == 1
    assert node.keys(node.start(NEW)[0]) == made


def test_a_disk_that_fails_leaves_what_was(node: Node, made: list[DataKey], monkeypatch: pytest.MonkeyPatch) -> None:
    vaults, rotation = node.start(OLD, NEW)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreUnavailableError, match=r"the master key cannot be exchanged: .*No space left"):
            asyncio.run(rotation.rotate_master(quiet))
    assert (vaults.master, node.wrapped_by()) == (OLD, {OLD.id})
    asyncio.run(rotation.rotate_master(quiet))
    assert node.keys(node.start(NEW)[0]) == made


def test_a_next_key_that_cannot_be_read_changes_nothing(node: Node, made: list[DataKey]) -> None:
    vaults, _ = node.start(OLD)
    rotation = KeyRotation(node.data, vaults, lambda: master.from_file(node.data / "no such file"))
    with pytest.raises(InvalidInputError, match="no such file"):
        asyncio.run(rotation.rotate_master(quiet))
    assert node.keys(node.start(OLD)[0]) == made


@pytest.mark.parametrize("step", range(25))
def test_the_key_of_a_development_node_is_exchanged_in_its_place(data: Path, step: int) -> None:
    """Whatever it is killed at; the number of steps is one of the data directory's files."""

    def start() -> tuple[Vaults, KeyRotation]:
        given, _ = master.from_data(data)

        def kept() -> list[MasterKey]:
            found = master_rotation.next_in_data(data)
            return [] if found is None else [found]

        vaults = Vaults(data, master_rotation.settled(data, given, kept))
        rotation = KeyRotation(data, vaults, lambda: master_rotation.make_next_in_data(data))
        rotation.finish()
        return vaults, rotation

    node = Node(data)
    vaults, rotation = start()
    before, made = vaults.master, node.keys(vaults)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, step, after=True)
        with pytest.raises(StoppedError):
            asyncio.run(rotation.rotate_master(quiet))
    vaults, rotation = start()
    if vaults.master == before:
        asyncio.run(rotation.rotate_master(quiet))
    assert node.keys(vaults) == made
    again = start()[0].master
    assert (again.id, again.key == before.key) == (vaults.master.id, False)
    assert sorted(path.name for path in data.glob("master*")) == ["master.check", "master.key"]


def test_a_copy_of_the_data_from_before_still_needs_the_old_key(node: Node, made: list[DataKey]) -> None:
    copy = replace(node, data=node.data.parent / "copy")
    shutil.copytree(node.data, copy.data)
    asyncio.run(node.start(OLD, NEW)[1].rotate_master(quiet))
    assert copy.keys(copy.start(OLD)[0]) == made
