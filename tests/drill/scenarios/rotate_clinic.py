"""A clinic's key is exchanged while another channel of it is sealed; who goes on is the next start."""

import asyncio
from pathlib import Path

from actors.custody.rotating import Rotating
from gateway.vault import MasterKey, Vaults
from gateway.vault.sealing import key_id_of
from protocol.access import NODE
from protocol.jobs import JobState
from tests.drill import clinic_data
from tests.fakes.any_clinic import AnyClinic
from tests.fakes.memory_jobs import MemoryJobs

_MASTER = MasterKey(b"m" * 32, "the drill")
_CLINIC = "north"


class _RotateClinic:
    name = "rotate clinic"

    def prepare(self, directory: Path) -> None:
        asyncio.run(clinic_data.make(directory, _MASTER))
        (directory / "old").write_bytes(_key_ids(directory)[0])

    def act(self, directory: Path) -> None:
        asyncio.run(_rotate(directory))

    def check(self, directory: Path, *, done: bool) -> None:
        asyncio.run(clinic_data.check(directory, _MASTER))
        if done:
            (key_id,) = _key_ids(directory)
            assert key_id != (directory / "old").read_bytes(), "it is the old key"
            channels = clinic_data.data_of(directory) / "clinics" / _CLINIC / "channels"
            assert {key_id_of(path.read_bytes()) for path in channels.rglob("*.vault")} == {key_id}
            assert clinic_data.nothing_left(directory)


def _key_ids(directory: Path) -> list[bytes]:
    return [key.id for key in Vaults(clinic_data.data_of(directory), _MASTER).data_keys(_CLINIC)]


async def _rotate(directory: Path) -> None:
    async with clinic_data.node(directory, _MASTER) as (vaults, store):
        jobs = MemoryJobs()
        rotating = Rotating(AnyClinic(), jobs, clinic_data.rotation(directory, vaults, _no_next), store)
        sealing = asyncio.create_task(_seal_another(directory, vaults))
        try:
            if await rotating.resume():
                await rotating.rotate_clinic(_CLINIC, by=NODE)
            await jobs.ended()
        finally:
            sealing.cancel()
            await asyncio.wait([sealing])
        assert [view.error for view in jobs.all() if view.state is not JobState.DONE] == []
        await vaults.clinic(_CLINIC).reseal("other")  # waits for what was left behind


async def _seal_another(directory: Path, vaults: Vaults) -> None:
    store = str(clinic_data.store_of(directory, "south"))
    while True:
        await vaults.clinic(_CLINIC).snapshot("other", store, clean=False)


def _no_next() -> MasterKey:
    raise AssertionError("nobody asked for it")


SCENARIO = _RotateClinic()
