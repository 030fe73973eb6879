"""The Kubernetes manifests: against each other, the image and the program."""

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.sections import Http, Nats, Settings
from config.settings import load
from gateway.http.app import table
from gateway.http.surround import HttpLimits
from gateway.vault import master
from protocol.access import Permission
from protocol.errors import InvalidInputError
from tests.deploy.manifests import (
    KUBERNETES,
    MEMORY,
    below,
    check_command,
    documents,
    image_environment,
    pod,
    resources,
)
from tests.unit.gateway.http.fake_node import fake_backends

NAME = "plantao"
(KUSTOMIZATION,) = documents(KUBERNETES / "kustomization.yaml")
(CONTAINER,) = pod()["containers"]
MOUNTS = {mount["name"]: mount for mount in CONTAINER["volumeMounts"]}
VOLUMES = {volume["name"]: volume for volume in pod()["volumes"]}


def spec(kind: str, name: str = NAME) -> dict[str, Any]:
    found: dict[str, Any] = resources()[kind, name]["spec"]
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What the node makes of the ConfigMap and its variables."""
    file = tmp_path / "plantao.toml"
    file.write_text(resources()["ConfigMap", "plantao-settings"]["data"]["plantao.toml"])
    own = {each["name"]: each["value"] for each in CONTAINER["env"]}
    ours = {name: value for name, value in image_environment().items() if name.startswith("PLANTAO_")}
    return load(file, {**ours, **own, "PLANTAO_RUNTIME": MEMORY})


def test_the_kustomization_has_every_file_but_the_example() -> None:
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here: its parts are checked one by one")
def test_kustomize_builds_it() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES], capture_output=True, text=True, timeout=60, check=False
    )
    assert built.returncode == 0, built.stderr
    made = {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(built.stdout)}
    assert made == {key for key in resources() if key[0] != "Secret"}


def test_everything_is_in_its_namespace_which_lets_in_only_pods_that_may_do_little() -> None:
    assert KUSTOMIZATION["namespace"] == NAME
    labels = resources()["Namespace", NAME]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_there_is_one_node_with_a_volume_that_only_one_can_mount() -> None:
    own = spec("StatefulSet")
    assert own["replicas"] == 1
    assert own["serviceName"] == "plantao-node"
    (claim,) = own["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert set(own["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}


def test_it_may_do_little() -> None:
    whole, own = pod()["securityContext"], CONTAINER["securityContext"]
    assert (whole["runAsNonRoot"], whole["runAsUser"], whole["runAsGroup"]) == (True, 10001, 10001)
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert pod()["automountServiceAccountToken"] is False
    assert resources()["ServiceAccount", pod()["serviceAccountName"]]["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod().keys()
    assert all("hostPath" not in volume for volume in pod()["volumes"])


def test_it_has_what_it_asks_for_and_no_more() -> None:
    assert {"cpu", "memory"} <= CONTAINER["resources"]["requests"].keys()
    assert {"memory", "ephemeral-storage"} <= CONTAINER["resources"]["limits"].keys()


def test_every_mount_has_its_volume_and_every_volume_what_it_is_made_of() -> None:
    claims = {claim["metadata"]["name"] for claim in spec("StatefulSet")["volumeClaimTemplates"]}
    assert MOUNTS.keys() == VOLUMES.keys() | claims
    made = resources().keys()
    assert all(("Secret", each["secret"]["secretName"]) in made for each in VOLUMES.values() if "secret" in each)
    assert all(("ConfigMap", each["configMap"]["name"]) in made for each in VOLUMES.values() if "configMap" in each)


def test_its_data_is_on_the_volume_and_its_sessions_in_memory() -> None:
    own = {each["name"]: each["value"] for each in CONTAINER["env"]}
    assert below(own["PLANTAO_DATA"], [MOUNTS["data"]["mountPath"]])
    assert below(own["PLANTAO_RUNTIME"], [MOUNTS["runtime"]["mountPath"]])
    assert VOLUMES["runtime"]["emptyDir"]["medium"] == "Memory"
    assert own["PLANTAO_VAULT__REQUIRE_MEMORY"] == "true"


def test_what_belongs_to_others_is_a_directory_below_the_mount() -> None:
    """The node takes directories that are its own; the root of a volume is root's."""
    own = {each["name"]: each["value"] for each in CONTAINER["env"]}
    assert {own["PLANTAO_DATA"], own["PLANTAO_RUNTIME"]}.isdisjoint(mount["mountPath"] for mount in MOUNTS.values())
    assert pod()["securityContext"]["fsGroup"] == 10001


def test_the_settings_are_settings_and_name_files_that_are_mounted(settings: Settings) -> None:
    tls, keys = MOUNTS["tls"]["mountPath"], MOUNTS["master"]["mountPath"]
    example = resources()["Secret", VOLUMES["tls"]["secret"]["secretName"]]["stringData"]
    for path in (settings.http.certificate, settings.http.key, settings.nats.certificate, settings.nats.key):
        assert path is not None
        assert (str(path.parent), path.name in example) == (tls, True)
    assert settings.keys.master_file is not None
    assert str(settings.keys.master_file.parent) == keys
    assert settings.keys.master_file.name in resources()["Secret", "plantao-master"]["stringData"]


def test_it_is_known_by_the_services_name(settings: Settings) -> None:
    assert f"{NAME}.{NAME}.svc" in settings.http.hosts


def test_the_words_of_the_example_are_no_key() -> None:
    text = resources()["Secret", "plantao-master"]["stringData"]["master"]
    with pytest.raises(InvalidInputError):
        master.from_text(text.encode(), "the example")


def test_its_command_is_a_command_and_reads_the_mounted_file() -> None:
    check_command([NAME, *CONTAINER["args"]])
    file = Path(CONTAINER["args"][-1])
    assert str(file.parent) == MOUNTS["settings"]["mountPath"]
    assert file.name in resources()["ConfigMap", "plantao-settings"]["data"]


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_probe_asks_what_needs_no_key(probe: str, settings: Settings) -> None:
    asked = CONTAINER[probe]["httpGet"]
    with_tls = settings.http.certificate is not None
    assert (asked["scheme"], asked["port"]) == ("HTTPS" if with_tls else "HTTP", "https")
    open_routes = {
        route.path
        for route in table(fake_backends(), HttpLimits(), None, {})  # type: ignore[arg-type]  # nothing is drawn
        if route.permission is Permission.OPEN and route.method == "GET"
    }
    assert asked["path"] in open_routes
    assert asked["path"] == ("/ready" if probe == "readinessProbe" else "/health")


def test_its_ports_are_the_nodes_and_the_services_lead_to_them(settings: Settings) -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert (
        ports
        == {"https": settings.http.port, "nats": settings.nats.port}
        == {"https": Http().port, "nats": Nats().port}
    )
    for service in (NAME, "plantao-node"):
        for port in spec("Service", service)["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def selectors() -> Iterator[dict[str, str]]:
    """By which others find the pod."""
    yield spec("StatefulSet")["selector"]["matchLabels"]
    yield spec("Service")["selector"]
    yield spec("Service", "plantao-node")["selector"]
    yield spec("PodDisruptionBudget")["selector"]["matchLabels"]
    yield spec("NetworkPolicy")["podSelector"]["matchLabels"]


def test_all_find_the_pod_by_its_labels() -> None:
    labels = spec("StatefulSet")["template"]["metadata"]["labels"]
    assert all(selector.items() <= labels.items() for selector in selectors())


def test_no_one_but_a_person_ends_it() -> None:
    assert spec("PodDisruptionBudget")["maxUnavailable"] == 0


def test_it_is_given_the_time_that_it_takes_to_end(settings: Settings) -> None:
    assert pod()["terminationGracePeriodSeconds"] > settings.shutdown.drain_s + settings.shutdown.deadline_s


def test_the_network_is_open_for_what_it_serves_and_needs_alone() -> None:
    policy = spec("NetworkPolicy")
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert [[port["port"] for port in rule["ports"]] for rule in policy["ingress"]] == [["https"], ["nats"]]
    assert all(rule["from"] and "podSelector" in rule["from"][0] for rule in policy["ingress"])
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443}
    outside = policy["egress"][1]["to"][0]["ipBlock"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(outside["except"])


def test_the_image_is_of_the_version_that_is_here() -> None:
    (image,) = KUSTOMIZATION["images"]
    project = tomllib.loads((KUBERNETES.parents[1] / "pyproject.toml").read_text())["project"]
    assert (image["name"], image["newTag"]) == (CONTAINER["image"], project["version"])
