"""Who goes by settings that are read again (see ``config.reload.Taker``): each judges them, and then has them hold."""

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from actors.places import reconciler_name
from actors.reconciler import Look
from config import log as logging_setup
from config import serving
from config.parts import Parts
from config.policies import channel_policy
from config.sections import Settings
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.server_config import Tls
from gateway.nats.tls import checked
from protocol.interfaces import Failure
from supervisor.actor import tell

RENEWAL_TIMEOUT_S: Final = 30.0

log = structlog.get_logger(__name__)


def join(parts: Parts) -> None:
    """Have all of them hear of it."""
    parts.reloading.join(
        partial(serving.take, parts.admin, parts.gateways.certificate),
        partial(_channels, parts),
        partial(_broker, parts),
        _log,
    )


def _channels(parts: Parts, settings: Settings) -> Callable[[], None]:
    """Reconcilers that are told nothing see it at their next look."""
    policy = channel_policy(settings)

    def hold() -> None:
        parts.clinics.policies.current = policy
        for clinic in parts.board.clinics():
            ref = parts.names.whereis(reconciler_name(clinic.id))
            if ref is not None:
                tell(ref, Look())

    return hold


def _broker(parts: Parts, settings: Settings) -> Callable[[], None]:
    """The embedded one shows its certificate as it is in the files by now."""
    nats, broker = settings.nats, parts.gateways.broker
    if nats.certificate is None or nats.key is None or not isinstance(broker, EmbeddedBroker):
        return lambda: None
    checked(Tls(nats.certificate.absolute(), nats.key.absolute()))

    def hold() -> None:
        parts.loop.spawn(broker.renew(), _renewed, timeout=RENEWAL_TIMEOUT_S)

    return hold


def _renewed(outcome: object) -> None:
    if isinstance(outcome, Failure):
        log.warning("the broker's certificate was not read again", error=str(outcome.error))


def _log(settings: Settings) -> Callable[[], None]:
    return partial(logging_setup.configure, settings.log)
