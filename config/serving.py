"""The admin endpoint, by the settings."""

from collections.abc import Callable

from config.sections import Http, Settings
from gateway.http.backends import Backends
from gateway.http.origins import Origins
from gateway.http.server import AdminServer
from gateway.http.surround import HttpLimits
from gateway.http.tls import Certificate


def certificate(http: Http) -> Certificate | None:
    """What it shows; None: it is served without TLS. Blocks. Raises InvalidInputError."""
    return None if http.certificate is None or http.key is None else Certificate(http.certificate, http.key)


def admin(settings: Settings, backends: Backends, shown: Certificate | None) -> AdminServer:
    """The endpoint, not yet started."""
    http, tls = settings.http, None if shown is None else shown.context
    return AdminServer(http.host, http.port, backends, limits=_limits(settings), origins=_origins(http), tls=tls)


def take(server: AdminServer, shown: Certificate | None, settings: Settings) -> Callable[[], None]:
    """See ``config.reload.Taker``. The certificate's files are read again in any case. Blocks."""
    limits, origins = _limits(settings), _origins(settings.http)
    renewed = None if shown is None else certificate(settings.http)

    def hold() -> None:
        server.change(limits, origins)
        if shown is not None and renewed is not None:
            shown.exchange(renewed)

    return hold


def _limits(settings: Settings) -> HttpLimits:
    http = settings.http
    return HttpLimits(
        body_bytes=settings.limits.body_bytes,
        address_requests=http.requests_per_address,
        key_requests=http.requests_per_key,
        ready_per_minute=http.ready_per_minute,
        archive_bytes=settings.limits.archive_bytes,
    )


def _origins(http: Http) -> Origins:
    return Origins(hosts=frozenset([http.host, *http.hosts]), allowed=frozenset(http.allowed_origins))
