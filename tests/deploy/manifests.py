"""The files of ``deploy/``, read, and what all of them are held against."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from typer.core import TyperGroup
from typer.main import get_command

from config.cli.app import app
from config.sections import Settings
from config.settings import load

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"
MEMORY: Final = "/dev/shm/plantao-deploy-test"
"""A runtime directory in memory on the machine that tests; nothing is made there."""


def documents(path: Path) -> list[dict[str, Any]]:
    """Of a YAML file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def checked_settings(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """What a node makes of these variables; SettingsError if it would not start. Other variables are not its own. The
    runtime directory of the place that is deployed to is no tmpfs here."""
    ours = {name: value for name, value in environment.items() if name.startswith("PLANTAO_")}
    return load(file, {**ours, "PLANTAO_RUNTIME": MEMORY})


def check_command(words: Sequence[str]) -> None:
    """Raises what the command line raises at words that it does not take. Nothing is run."""
    program, *rest = words
    assert Path(program).name == "plantao"
    command: Any = get_command(app)
    while isinstance(command, TyperGroup):
        command = command.commands[rest.pop(0)]
    with command.make_context("plantao", rest):
        pass


def below(path: str, places: Sequence[str]) -> bool:
    """Whether ``path`` lies in one of these directories."""
    return any(Path(path).is_relative_to(place) for place in places)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of a Dockerfile, such as ``COPY`` and what follows it, on one line."""

    name: str
    rest: str


def stages() -> list[list[Instruction]]:
    """The Dockerfile's, each from its ``FROM`` on; what comes before belongs to none."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    instructions = [
        Instruction(*line.split(maxsplit=1)) for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()
    ]
    starts = [at for at, each in enumerate(instructions) if each.name == "FROM"]
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def image_environment() -> dict[str, str]:
    """What the image sets."""
    rest = next(each.rest for each in stages()[-1] if each.name == "ENV")
    return dict(pair.split("=", 1) for pair in rest.split())


def unit() -> dict[str, list[str]]:
    """The systemd unit's settings by name, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / "plantao.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def resources() -> dict[tuple[str, str], dict[str, Any]]:
    """All Kubernetes resources by kind and name, those of the example too."""
    files = [path for path in sorted(KUBERNETES.glob("*.yaml")) if path.name != "kustomization.yaml"]
    found = [document for path in files for document in documents(path)]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def pod() -> dict[str, Any]:
    """What the StatefulSet's pod is to be."""
    spec: dict[str, Any] = resources()["StatefulSet", "plantao"]["spec"]["template"]["spec"]
    return spec
