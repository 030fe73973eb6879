"""Custody, made from the settings: where ``actors.custody`` and its gateways meet."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from actors.board import Board
from actors.custody.backing_up import BackingUp
from actors.custody.backups import BackupDesk
from actors.custody.erasing import ErasingClinics
from actors.custody.erasing_people import ErasingPeople
from actors.custody.exporting import Exporting
from actors.custody.keeping import LOOK_S, Keeping, Schedule
from actors.custody.personal import PersonalDesk
from actors.custody.restoring import Restoring
from actors.switchboard import Switchboard
from config.sections import Settings
from gateway.access.api_keys import ApiKeys
from gateway.backup.archives import NodeArchives
from gateway.backup.shelf import BackupShelf
from gateway.jobs import NodeJobs, jobs_directory
from gateway.lgpd.exports import SealedExports
from gateway.lgpd.holdings import Directory, Forgetting, Keys, clinic_directory
from gateway.lgpd.sessions import PeopleInSessions, Sessions
from gateway.lgpd.tombstones import DiskTombstones
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.erasing import Account, PlatformEvents
from gateway.nats.exporting import NatsAccounts
from gateway.nats.external import ExternalBroker
from gateway.nats.people import PeopleInStreams
from gateway.nats.registry import NatsRegistry
from gateway.store.store import SqliteStore
from gateway.vault import Vaults
from protocol.erasing import Holding
from protocol.operations import Operations
from supervisor.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupParts:
    """``desk`` does what is asked for, ``keeping`` what is done by the clock; ``restoring`` is at work for both."""

    desk: BackupDesk
    restoring: Restoring
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
    erasing: ErasingClinics,
    tombstones: DiskTombstones,
) -> BackupParts:
    """Opens nothing."""
    data, switchboard = settings.data, Switchboard(board, names)
    archives = NodeArchives(data, settings.runtime, vaults, bus, version=version("plantao"))
    backing_up = BackingUp(switchboard, jobs, archives)
    restoring = Restoring(switchboard, jobs, archives, registry, store, tombstones.stands)
    shelf = BackupShelf(_shelf(settings), settings.backup.keep)
    return BackupParts(
        restoring=restoring,
        desk=BackupDesk(backing_up=backing_up, restoring=restoring, folder=jobs_directory(data)),
        keeping=Keeping(_schedule(settings.backup.every), shelf, jobs, backing_up, restoring, erasing),
    )


def erasing(
    settings: Settings,
    *,
    switchboard: Switchboard,
    jobs: NodeJobs,
    vaults: Vaults,
    bus: NatsBus,
    broker: EmbeddedBroker | ExternalBroker,
    registry: NatsRegistry,
    store: SqliteStore,
    keys: ApiKeys,
    tombstones: DiskTombstones,
) -> ErasingClinics:
    """Opens nothing."""
    # Keys first; then what they do not open, or is nobody's else to close; the clinic's directory holds the vault's own
    # note of what it has begun, so it goes last.
    holdings: tuple[Holding, ...] = (
        Keys(data=settings.data, runtime=settings.runtime, forget=vaults.forget_clinic),
        Directory(name="backups", parent=_shelf(settings), counted="backups"),
        Account(bus, broker),
        PlatformEvents(bus),
        Sessions(settings.runtime),
        Forgetting(name="API keys", forget=keys.forget_clinic),
        Forgetting(name="database", forget=store.forget_clinic),
        clinic_directory(settings.data),
    )
    return ErasingClinics(switchboard, jobs, registry, tombstones, holdings)


def personal(
    erasing: ErasingClinics,
    *,
    switchboard: Switchboard,
    operations: Operations,
    jobs: NodeJobs,
    bus: NatsBus,
    store: SqliteStore,
    sessions: PeopleInSessions,
) -> PersonalDesk:
    """Opens nothing."""
    return PersonalDesk(
        erasing,
        ErasingPeople(switchboard, operations, jobs, bus, store, sessions, PeopleInStreams(bus)),
        Exporting(switchboard, jobs, store, NatsAccounts(bus), sessions, sessions.forms_of, SealedExports),
    )


def _shelf(settings: Settings) -> Path:
    """Where scheduled backups lie."""
    return settings.backup.directory or settings.data / "backups"


def _schedule(every_s: float) -> Schedule:
    return Schedule(every_s=every_s, look_s=min(LOOK_S, every_s or LOOK_S))
