"""The image: built from what is locked, run with no more rights than it needs."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from config.sections import Http, Nats, Shutdown
from deploy import runtime_requirements
from tests.deploy.manifests import (
    DEPLOY,
    ROOT,
    Instruction,
    check_command,
    checked_settings,
    image_environment,
    stages,
)

RUN_AS = "10001:10001"


def of(stage: int, name: str) -> list[str]:
    return [each.rest for each in stages()[stage] if each.name == name]


def everything() -> list[Instruction]:
    return [each for stage in stages() for each in stage]


def copied() -> list[str]:
    """What comes from the repository."""
    return [source for rest in of(0, "COPY") for source in rest.split()[:-1]]


def context() -> list[str]:
    """What the ignore file lets through."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def test_it_runs_as_a_user_who_is_nobody_else() -> None:
    assert of(-1, "USER") == [RUN_AS]
    last = [each.name for each in stages()[-1]]
    assert last.index("USER") > max(at for at, name in enumerate(last) if name in ("RUN", "COPY"))


def test_nothing_is_fetched_but_packages_that_are_pinned_by_hash() -> None:
    assert {each.name for each in everything()} <= {
        "FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
        "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    commands = [command.strip() for each in everything() if each.name == "RUN" for command in each.rest.split("&&")]
    installs = [command for command in commands if re.search(r"\bpip\b.*\b(install|wheel)\b", command)]
    assert len(installs) == 4
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)
    assert not [command for command in commands if re.search(r"\b(curl|wget|git|apt-get|apk)\b", command)]


def test_what_builds_it_stays_behind() -> None:
    assert [each.rest.split()[0] for each in stages()[-1] if each.name == "COPY"] == ["--from=build"]
    assert not any("pip" in rest for rest in of(-1, "RUN"))


def test_its_base_is_the_python_that_the_project_asks_for() -> None:
    base = re.search(r"^ARG BASE=python:(\d+\.\d+)-slim-bookworm$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"] == f">={base[1]}"


def test_no_key_is_in_it_and_its_settings_are_settings() -> None:
    environment = image_environment()
    assert not [name for name in environment if re.search(r"KEY|SECRET|PASSWORD|TOKEN|MASTER", name)]
    settings = checked_settings(environment)
    assert (settings.vault.require_memory, settings.log.format) == (True, "json")


def test_its_commands_are_commands_without_a_shell() -> None:
    entry, command = json.loads(of(-1, "ENTRYPOINT")[0]), json.loads(of(-1, "CMD")[0])
    check_command([*entry, *command])
    options, _, probe = of(-1, "HEALTHCHECK")[0].partition("CMD ")
    check_command(json.loads(probe))
    assert {name for name, _ in re.findall(r"--([a-z-]+)=(\S+)", options)} == {
        "interval", "timeout", "start-period", "retries",
    }  # fmt: skip


def test_it_exposes_what_a_node_serves_and_is_told_to_end_as_a_node_is() -> None:
    assert of(-1, "EXPOSE") == [f"{Http().port} {Nats().port}"]
    assert of(-1, "STOPSIGNAL") == ["SIGTERM"]
    assert Shutdown().drain_s > 0


def test_its_data_is_a_volume_and_where_it_writes_belongs_to_it() -> None:
    environment, made = image_environment(), " ".join(of(-1, "RUN"))
    (volume,) = of(-1, "VOLUME")
    assert Path(environment["PLANTAO_DATA"]).parent == Path(volume)
    for place in (volume, str(Path(environment["PLANTAO_RUNTIME"]).parent)):
        assert re.search(rf"install -d -o 10001 -g 10001 -m 0700 [^&]*{place}\b", made)


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    sources = {"deploy/runtime_requirements.py" if source.startswith("deploy/") else source for source in copied()}
    assert sorted(context()) == sorted(sources)
    assert all((ROOT / source).exists() for source in sources)


def test_the_wheel_that_is_built_from_what_is_copied_holds_all_files_of_the_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run(
        [*command, "--wheel-dir", tmp_path, "."], cwd=source, capture_output=True, text=True, timeout=100, check=False
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        scripts = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert b"plantao = config.cli:main" in archive.read(scripts)
    there = {
        str(p.relative_to(source)) for name in packages["packages"] for p in (source / name).rglob("*") if p.is_file()
    }
    assert inside == there


# -- what of the lock is installed --


def runtime_names() -> set[str]:
    """What this environment's own metadata says that the program needs."""
    found: set[str] = set()
    waiting = ["plantao"]
    while waiting:
        for text in requires(waiting.pop()) or ():
            need = Requirement(text)
            name = runtime_requirements.name_of(need.name)
            if (need.marker is None or need.marker.evaluate({"extra": ""})) and name not in found:
                found.add(name)
                waiting.append(need.name)
    return found


def test_it_is_all_that_the_program_needs_and_nothing_that_only_developers_use() -> None:
    locked = runtime_requirements.entries((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    picked = runtime_requirements.needed(locked, project["dependencies"])
    elsewhere = {name for name in picked if all("sys_platform == 'win32'" in text for text in locked[name])}
    assert picked - elsewhere == runtime_names()
    assert not picked & {"pytest", "ruff", "mypy", "hatchling"}


def test_every_line_of_it_is_the_locks() -> None:
    printed = subprocess.run(
        [sys.executable, DEPLOY / "runtime_requirements.py"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert set(printed.splitlines()) <= set(lock)
    assert "aiohttp==" in printed


def test_an_extra_adds_what_it_is_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain, more = (runtime_requirements.wanted(project, name) for name in ("plantao", "plantao[otel]"))
    assert plain == project["dependencies"]
    assert {runtime_requirements.name_of(each) for each in more} >= {"pykka", "opentelemetry-sdk"}
    with pytest.raises(KeyError):
        runtime_requirements.wanted(project, "plantao[absent]")


def test_a_name_that_is_not_locked_is_told() -> None:
    with pytest.raises(KeyError, match="make lock"):
        runtime_requirements.needed({}, ["absent"])
