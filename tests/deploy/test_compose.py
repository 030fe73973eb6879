"""The Compose file: against the image, the settings, and what a service should not have."""

import re
from pathlib import Path
from typing import Any

from config.sections import Http, Nats
from tests.deploy.manifests import DEPLOY, ROOT, below, checked_settings, documents, image_environment

(COMPOSE,) = documents(DEPLOY / "compose.yaml")
SERVICE: dict[str, Any] = COMPOSE["services"]["plantao"]
ENVIRONMENT = {**image_environment(), **SERVICE["environment"]}


def test_it_builds_the_image_from_here() -> None:
    build = SERVICE["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert (context, (context / build["dockerfile"]).exists()) == (ROOT, True)


def test_it_may_do_little() -> None:
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert SERVICE["user"] == "10001:10001"
    assert SERVICE["ulimits"]["core"] == 0
    assert {"mem_limit", "pids_limit"} <= SERVICE.keys()
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & SERVICE.keys()


def test_its_variables_are_settings_and_none_is_a_secret() -> None:
    settings = checked_settings(ENVIRONMENT)
    assert settings.http.certificate is not None
    assert settings.nats.certificate is not None
    given = [Path(f"/run/secrets/{name}") for name in SERVICE["secrets"]]
    assert {settings.keys.master_file, settings.http.certificate, settings.http.key} == set(given)
    assert not [name for name in SERVICE["environment"] if name.endswith(("__MASTER", "__URL", "__PROXY"))]


def test_secrets_are_files_that_no_repository_holds() -> None:
    assert set(SERVICE["secrets"]) == COMPOSE["secrets"].keys()
    assert all(Path(secret["file"]).parent == Path("secrets") for secret in COMPOSE["secrets"].values())
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_its_data_is_on_a_volume_and_its_sessions_in_memory() -> None:
    mounts = [text.split(":")[1] for text in SERVICE["volumes"]]
    memory = [text.split(":")[0] for text in SERVICE["tmpfs"]]
    assert below(ENVIRONMENT["PLANTAO_DATA"], mounts)
    assert below(ENVIRONMENT["PLANTAO_RUNTIME"], memory)
    runtime = next(text for text in SERVICE["tmpfs"] if text.startswith("/run/plantao:"))
    assert "uid=10001,gid=10001,mode=0700" in runtime


def test_it_is_reached_from_this_machine_alone_at_the_nodes_ports() -> None:
    assert SERVICE["ports"] == [f"127.0.0.1:{port}:{port}" for port in (Http().port, Nats().port)]


def test_it_is_given_the_time_that_it_takes_to_end() -> None:
    shutdown = checked_settings(ENVIRONMENT).shutdown
    seconds = re.fullmatch(r"(\d+)s", SERVICE["stop_grace_period"])
    assert seconds is not None
    assert int(seconds[1]) > shutdown.drain_s + shutdown.deadline_s
