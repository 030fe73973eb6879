"""Settings as they are written."""

import shutil
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from config.doctor.finding import Finding, fine, warning, wrong
from config.sections import SECRETS, Settings
from gateway.media_fetch import networks
from protocol.errors import InvalidInputError

CHECK: Final = "configuration"


def look(config: Path | None, settings: Settings) -> Iterator[Finding]:
    """What there is to say of settings that could be read. Raises OSError."""
    if config is None:
        yield fine(CHECK, "no file: defaults, and the environment")
    else:
        yield of_file(config, config.stat().st_mode, tomllib.loads(config.read_text(encoding="utf-8")))
    program = settings.whatsapp.port_command[0]
    if shutil.which(program) is None:
        yield wrong(CHECK, f"whatsapp.port_command: there is no program {program}", "correct it, or leave it out")
    if settings.nats.url and settings.nats.accounts_file is None:
        told = "nats.url names a broker, and nats.accounts_file none of its accounts"
        yield wrong(CHECK, told, "make the file: plantao nats config --accounts FILE")
    try:
        networks.read(settings.media.allow_networks, "media.allow_networks")
    except InvalidInputError as error:
        yield wrong(CHECK, str(error), "correct it")


def of_file(path: Path, mode: int, document: dict[str, Any]) -> Finding:
    """Whether a file that holds a secret can be read by its owner alone."""
    held = [key for key in sorted(SECRETS) if _holds(document, key)]
    if held and mode & (stat.S_IRGRP | stat.S_IROTH):
        told = f"{path} holds {', '.join(held)} and may be read by others"
        return warning(CHECK, told, f"chmod 600 {path}")
    return fine(CHECK, f"{path} can be read, and all in it is known")


def _holds(document: dict[str, Any], key: str) -> bool:
    section, _, name = key.partition(".")
    return bool(document.get(section, {}).get(name))
