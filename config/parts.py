"""The parts of a node, made from its settings and not yet started: where its actors meet the gateways."""

from dataclasses import dataclass
from random import Random

from actors.board import Board
from actors.channel.surroundings import Policies
from actors.clinic_parts import ClinicParts
from actors.custody.keeping import Keeping
from actors.custody.resuming import Resuming
from actors.desk import Desk
from actors.drain import Drain
from actors.loop import AsyncioLoop
from actors.meters import NodeMeters
from actors.switchboard import Switchboard
from actors.turns import Turns
from config import custody, gateways, overrides, serving
from config.boot import StaggeredOpener
from config.counted import CountedOpener
from config.custody import Custody
from config.gateways import Gateways
from config.health import NodeHealth
from config.policies import channel_policy
from config.reload import Reload, Reread
from config.sections import Settings
from gateway.http.backends import Backends
from gateway.http.server import AdminServer
from supervisor.names import Names
from supervisor.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All that the tree supervises, and what its actors share."""

    loop: AsyncioLoop
    names: Names
    tally: Tally
    board: Board
    drain: Drain
    gateways: Gateways
    clinics: ClinicParts
    desk: Desk
    health: NodeHealth
    resuming: Resuming
    keeping: Keeping
    admin: AdminServer
    reloading: Reload


def make(settings: Settings, reread: Reread) -> Parts:
    """Construct everything; opens nothing but the admin key and the master key. ``reread`` reads the settings again.

    Raises:
        InvalidInputError: settings that do not go together.
        StoreUnavailableError: a key's file cannot be read or written, or the data was sealed with another master key.
    """
    loop, names, tally, board, drain = AsyncioLoop(), Names(), Tally(), Board(), Drain()
    meters, reloading = NodeMeters(board), Reload(settings, reread)
    held = gateways.make(settings, reloading)
    desk = Desk(
        board,
        names,
        held.registry,
        held.bus,
        held.store,
        overrides.check,
        most_channels=lambda: reloading.settings.limits.channels_per_clinic,
        forms_of=held.sessions.forms_of,
    )
    held.bus.serve(desk, held.audit)
    custodians = custody.make(settings, held, Switchboard(board, names), desk)
    health = NodeHealth(names, tally, held.bus, held.audit, settings.data, drain, lambda: custodians.keeping.made)
    clinics = ClinicParts(
        bus=held.bus,
        store=held.store,
        loop=loop,
        opener=_opener(settings, held, tally),
        board=board,
        meters=meters,
        names=names,
        policies=Policies(channel_policy(settings)),
        runtime=settings.runtime,
        vaults=held.vaults,
        web=held.web,
        drain=drain,
        telemetry=held.telemetry,
        media_turns=Turns(settings.inbox.media_at_once),
    )
    backends = _backends(held, custodians, desk, health, board, meters, reloading)
    return Parts(
        loop=loop,
        names=names,
        tally=tally,
        board=board,
        drain=drain,
        gateways=held,
        clinics=clinics,
        desk=desk,
        health=health,
        resuming=custodians.resuming,
        keeping=custodians.keeping,
        admin=serving.admin(settings, backends, held.certificate),
        reloading=reloading,
    )


def _opener(settings: Settings, held: Gateways, tally: Tally) -> StaggeredOpener:
    return StaggeredOpener(
        CountedOpener(held.nursery, tally),
        parallel=settings.boot.parallel,
        jitter_s=settings.boot.jitter_s,
        deadline_s=settings.calls.connect_deadline,
        random=Random(),  # noqa: S311 - jitter
    )


def _backends(
    held: Gateways,
    custodians: Custody,
    desk: Desk,
    health: NodeHealth,
    board: Board,
    meters: NodeMeters,
    reloading: Reload,
) -> Backends:
    return Backends(
        operations=desk,
        keys=held.keys,
        logins=held.logins,
        jobs=held.jobs,
        backups=custodians.backups,
        personal=custodians.personal,
        rotations=custodians.rotations,
        audit=held.audit,
        health=health,
        live=board,
        meters=meters,
        reloading=reloading,
    )
