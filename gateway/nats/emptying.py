"""Everything that an account stores, deleted: what must be done before the server forgets the account."""

import structlog

from gateway.nats.client import PatientClient
from gateway.nats.link import Login
from gateway.nats.translate import translating

log = structlog.get_logger(__name__)


async def empty(login: Login) -> None:
    """Delete every stream of the account of ``login``, over a connection of its own. Raises BusUnavailableError."""
    with translating("deleting the streams of an account"):
        nc = PatientClient()
        try:
            await nc.connect(
                login.server,
                user=login.user,
                password=login.password,
                tls=login.tls,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=_ignore,
            )
            js = nc.jetstream()
            while streams := await js.streams_info():
                for stream in streams:
                    await js.delete_stream(stream.config.name or "")
        finally:
            await nc.close()


async def _ignore(error: Exception) -> None:
    log.debug("nats_client_error", error=str(error))
