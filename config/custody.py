"""Backup and restore, made from the settings: where ``actors.custody`` and its gateways meet."""

from dataclasses import dataclass
from importlib.metadata import version

from actors.board import Board
from actors.custody.backing_up import BackingUp
from actors.custody.backups import BackupDesk
from actors.custody.keeping import Keeping, Schedule
from actors.custody.restoring import Restoring
from actors.switchboard import Switchboard
from config.sections import Settings
from gateway.backup.archives import NodeArchives
from gateway.backup.shelf import BackupShelf
from gateway.jobs import NodeJobs, jobs_directory
from gateway.nats.bus import NatsBus
from gateway.nats.registry import NatsRegistry
from gateway.store.store import SqliteStore
from gateway.vault import Vaults
from supervisor.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupParts:
    """``desk`` does what is asked for, ``keeping`` what is done by the clock."""

    desk: BackupDesk
    keeping: Keeping


def backups(
    settings: Settings,
    *,
    board: Board,
    names: Names,
    jobs: NodeJobs,
    vaults: Vaults,
    bus: NatsBus,
    registry: NatsRegistry,
    store: SqliteStore,
) -> BackupParts:
    """Opens nothing."""
    data, switchboard = settings.data, Switchboard(board, names)
    archives = NodeArchives(data, settings.runtime, vaults, bus, version=version("plantao"))
    backing_up = BackingUp(switchboard, jobs, archives)
    restoring = Restoring(switchboard, jobs, archives, registry, store)
    shelf = BackupShelf(settings.backup.directory or data / "backups", settings.backup.keep)
    return BackupParts(
        desk=BackupDesk(backing_up=backing_up, restoring=restoring, folder=jobs_directory(data)),
        keeping=Keeping(Schedule(every_s=settings.backup.every), shelf, jobs, backing_up, restoring),
    )
