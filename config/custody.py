"""Custody, made from the settings: where ``actors.custody`` and its gateways meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from actors.custody.backing_up import BackingUp
from actors.custody.backups import BackupDesk
from actors.custody.erasing import ErasingClinics
from actors.custody.erasing_people import ErasingPeople
from actors.custody.exporting import Exporting
from actors.custody.keeping import LOOK_S, Keeping, Schedule
from actors.custody.personal import PersonalDesk
from actors.custody.restoring import Restoring
from actors.custody.resuming import Resuming
from actors.custody.rotating import Rotating
from actors.switchboard import Switchboard
from config.gateways import Gateways
from config.sections import Settings
from gateway.backup.archives import NodeArchives
from gateway.backup.shelf import BackupShelf
from gateway.jobs import jobs_directory
from gateway.lgpd.exports import SealedExports
from gateway.lgpd.holdings import Directory, Forgetting, Keys, clinic_directory
from gateway.lgpd.sessions import Sessions
from gateway.nats.erasing import Account, PlatformEvents
from gateway.nats.exporting import NatsAccounts
from gateway.nats.people import PeopleInStreams
from protocol.erasing import Holding
from protocol.operations import Operations


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """``backups``, ``personal`` and ``rotations`` do what is asked for; ``resuming`` and ``keeping`` go on with what
    was interrupted, and do what is done by the clock."""

    backups: BackupDesk
    personal: PersonalDesk
    rotations: Rotating
    resuming: Resuming
    keeping: Keeping


def make(settings: Settings, held: Gateways, switchboard: Switchboard, operations: Operations) -> Custody:
    """Opens nothing. ``held``: by which all is reached that holds data of clinics, or says who they are."""
    jobs = held.jobs
    archives = NodeArchives(settings.data, settings.runtime, held.vaults, held.bus, version=version("plantao"))
    backing_up = BackingUp(switchboard, jobs, archives)
    restoring = Restoring(switchboard, jobs, archives, held.registry, held.store, held.tombstones.stands)
    erasing = ErasingClinics(switchboard, jobs, held.registry, held.tombstones, _holdings(settings, held))
    rotating = Rotating(switchboard, jobs, held.rotation, held.store, restoring.finish_all)
    shelf = BackupShelf(_shelf(settings), settings.backup.keep)
    return Custody(
        backups=BackupDesk(backing_up=backing_up, restoring=restoring, folder=jobs_directory(settings.data)),
        personal=_personal(held, switchboard, operations, erasing),
        rotations=rotating,
        resuming=Resuming(rotating),
        keeping=Keeping(_schedule(settings.backup.every), shelf, jobs, backing_up, restoring, erasing),
    )


def _holdings(settings: Settings, held: Gateways) -> Sequence[Holding]:
    """Keys first; then what they do not open, or is nobody's else to close; the clinic's directory holds the vault's
    own note of what it has begun, so it goes last."""
    return (
        Keys(data=settings.data, runtime=settings.runtime, forget=held.vaults.forget_clinic),
        Directory(name="backups", parent=_shelf(settings), counted="backups"),
        Account(held.bus, held.broker),
        PlatformEvents(held.bus),
        Sessions(settings.runtime),
        Forgetting(name="API keys", forget=held.keys.forget_clinic),
        Forgetting(name="database", forget=held.store.forget_clinic),
        clinic_directory(settings.data),
    )


def _personal(
    held: Gateways, switchboard: Switchboard, operations: Operations, erasing: ErasingClinics
) -> PersonalDesk:
    jobs, store, sessions = held.jobs, held.store, held.sessions
    people = PeopleInStreams(held.bus)
    return PersonalDesk(
        erasing,
        ErasingPeople(switchboard, operations, jobs, held.bus, store, sessions, people),
        Exporting(switchboard, jobs, store, NatsAccounts(held.bus), sessions, sessions.forms_of, SealedExports),
    )


def _shelf(settings: Settings) -> Path:
    """Where scheduled backups lie."""
    return settings.backup.directory or settings.data / "backups"


def _schedule(every_s: float) -> Schedule:
    return Schedule(every_s=every_s, look_s=min(LOOK_S, every_s or LOOK_S))
