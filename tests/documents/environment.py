"""``.env.example``: every setting as a variable, at its default."""

import textwrap
from typing import Final

from tests.documents.settings import Section, Setting, sections

_WIDTH: Final = 120
_HEAD: Final = """\
# Every setting as an environment variable, at its default: uncomment what is to be otherwise. For systemd
# (EnvironmentFile=), Docker (--env-file, env_file:) and the like; a shell needs quotes around values with spaces.
# The same in a file, which these override: plantao run --config plantao.toml. Made by: make docs
"""
_EXAMPLES: Final = {
    "data": "/var/lib/plantao",
    "runtime": "/run/plantao",
    "http.certificate": "/etc/plantao/http.crt",
    "http.key": "/etc/plantao/http.key",
    "nats.certificate": "/etc/plantao/nats.crt",
    "nats.key": "/etc/plantao/nats.key",
    "nats.ca": "/etc/plantao/nats-ca.crt",
    "nats.accounts_file": "/etc/plantao/accounts.json",
    "keys.master_file": "/run/secrets/plantao",
    "keys.next_master_file": "/run/secrets/plantao-next",
    "backup.directory": "/var/backups/plantao",
}
"""Of what has no default."""


def text() -> str:
    """The whole file."""
    return _HEAD + "".join(_section(section) for section in sections())


def _section(section: Section) -> str:
    head = f"\n# ---- {section.name} ----\n" if section.name else ""
    return head + "".join(f"# {line}\n" for part in section.meaning for line in _lines(part)) + _all(section)


def _all(section: Section) -> str:
    return "".join(f"\n{_setting(setting)}" for setting in section.settings)


def _setting(setting: Setting) -> str:
    value = _EXAMPLES[setting.key] if setting.written is None else setting.written
    told = f"{setting.meaning} ({setting.values})"
    if setting.written is None:
        told += " Not set by default."
    if setting.secret:
        told += f" {setting.variable}_FILE names a file that holds it."
    return "".join(f"# {line}\n" for line in _lines(told)) + f"#{setting.variable}={value}\n"


def _lines(said: str) -> list[str]:
    return textwrap.wrap(said.replace("``", ""), _WIDTH - 2)
