"""All that is looked at, in the order in which it is told."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from config.doctor import (
    backups,
    broker,
    certificates,
    clock,
    configuration,
    databases,
    keys,
    machine,
    places,
    running,
    sockets,
)
from config.doctor.finding import Finding, Level, unknown, wrong
from config.settings import Settings, SettingsError, load
from protocol.errors import PlantaoError

Look = Callable[[Settings], Iterable[Finding]]

LOOKS: Final[Mapping[str, Look]] = {
    "data": places.data,
    "disk": places.disk,
    "databases": databases.look,
    "runtime": places.runtime,
    "sockets": sockets.look,
    "keys": keys.look,
    "certificates": certificates.look,
    "broker": broker.look,
    "clock": clock.look,
    "machine": machine.look,
    "backups": backups.look,
    "node": running.look,
}
"""By what they are about. Each may raise OSError and PlantaoError, which is then what is told of it."""


def examine(config: Path | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What there is to say of the settings of the file ``config``, overridden by ``environ``, and of the machine on
    which a node with them runs or would. Blocks, at most a minute."""
    try:
        settings = load(config, environ)
    except SettingsError as error:
        yield wrong("configuration", str(error), "correct it; deploy/REFERENCE.md has every setting")
        return
    yield from configuration.look(config, settings)
    for name, look in LOOKS.items():
        yield from _looked(name, look, settings)


def well(findings: Sequence[Finding]) -> bool:
    """Whether a node can work like this."""
    return all(finding.level is not Level.WRONG for finding in findings)


def _looked(name: str, look: Look, settings: Settings) -> Iterator[Finding]:
    try:
        yield from look(settings)
    except PlantaoError as error:
        yield wrong(name, str(error), "see what it says")
    except OSError as error:
        yield unknown(name, f"could not be looked at: {error}", "run this as the user that runs the node")
