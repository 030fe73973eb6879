"""Where a node listens: whether it can."""

import errno
import socket
from collections.abc import Iterator
from typing import Final

from config.cli.client import running_pid
from config.doctor.finding import Finding, fine, warning, wrong
from config.sections import Settings

CHECK: Final = "sockets"


def look(settings: Settings) -> Iterator[Finding]:
    """The addresses of the admin endpoint and the embedded broker, unless a node holds them already."""
    if running_pid(settings.data) is not None:
        yield fine(CHECK, "a node runs, and holds them")
        return
    yield _at("http", settings.http.host, settings.http.port)
    if not settings.nats.url:
        yield _at("nats", settings.nats.host, settings.nats.port)


def _at(section: str, host: str, port: int) -> Finding:
    if port <= 0:
        return fine(CHECK, f"{section}.port: a free one at {host}")
    return of(section, host, port, _refusal(host, port))


def of(section: str, host: str, port: int, refusal: OSError | None) -> Finding:
    """What it means that the kernel lets us listen, or not."""
    where = f"{host}:{port}"
    if refusal is None:
        return fine(CHECK, f"{where} is free ({section}.port)")
    match refusal.errno:
        case errno.EADDRINUSE:
            mend = f"end who listens there (ss -ltnp 'sport = :{port}'), or set {section}.port"
            return wrong(CHECK, f"{where} is taken by another program", mend)
        case errno.EACCES | errno.EPERM:
            return wrong(CHECK, f"{where} is not for this user", f"set {section}.port to one above 1023")
        case errno.EADDRNOTAVAIL:
            return warning(CHECK, f"{host} is no address of this machine now", f"set {section}.host to one that is")
        case _:
            return wrong(CHECK, f"{where}: {refusal.strerror or refusal}", f"set {section}.host and {section}.port")


def _refusal(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            # As a node does: what an earlier one left in TIME_WAIT is in nobody's way.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        return error
    return None
