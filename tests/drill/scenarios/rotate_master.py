"""The master key is exchanged, in a running node; who goes on is its next start."""

import asyncio
from pathlib import Path

from actors.custody.rotating import Rotating
from gateway.vault import MasterKey, master_rotation
from protocol.access import NODE
from protocol.errors import WrongKeyError
from protocol.jobs import JobState
from tests.drill import clinic_data
from tests.fakes.any_clinic import AnyClinic
from tests.fakes.memory_jobs import MemoryJobs

_OLD = MasterKey(b"o" * 32, "the old one")
_NEW = MasterKey(b"n" * 32, "the new one")


class _RotateMaster:
    name = "rotate master"

    def prepare(self, directory: Path) -> None:
        asyncio.run(clinic_data.make(directory, _OLD))

    def act(self, directory: Path) -> None:
        asyncio.run(_rotate(directory))

    def check(self, directory: Path, *, done: bool) -> None:
        if not done:
            asyncio.run(clinic_data.check(directory, _OLD, _NEW))
            return
        asyncio.run(clinic_data.check(directory, _NEW))
        assert clinic_data.nothing_left(directory)
        try:
            master_rotation.settled(clinic_data.data_of(directory), _OLD, list)
        except WrongKeyError:
            return
        raise AssertionError("the old master key still opens something")


async def _rotate(directory: Path) -> None:
    async with clinic_data.node(directory, _OLD, _NEW) as (vaults, store):
        keys = clinic_data.rotation(directory, vaults, lambda: _NEW)
        if vaults.master == _NEW:
            return  # a start went on with it
        jobs = MemoryJobs()
        view = await Rotating(AnyClinic(), jobs, keys, store).rotate_master(by=NODE)
        await jobs.ended()
        assert jobs.get(view.id).state is JobState.DONE, jobs.get(view.id).error


SCENARIO = _RotateMaster()
