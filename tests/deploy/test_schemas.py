"""Types and names of fields, by the schemas of Kubernetes and Compose themselves."""

from typing import Any, Final

import compose_spec
import kubernetes_validate
import pytest

from tests.deploy.manifests import DEPLOY, resources

VERSIONS: Final = ("1.29", kubernetes_validate.latest_version())
"""The first that has all of it (ReadWriteOncePod for everybody), and the newest that is known."""
RESOURCES: Final = [pytest.param(made, id=f"{kind} {name}") for (kind, name), made in resources().items()]
COMPOSE: Final = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_resource_is_one_of_kubernetes(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    service = resources()["Service", "plantao"]
    wrong = {**service, "spec": {**service["spec"], "port": 8080}}
    with pytest.raises(kubernetes_validate.ValidationError, match="port"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_the_compose_file_is_one_and_a_wrong_one_is_found() -> None:
    spec = compose_spec.PyCompose.from_yaml(COMPOSE).to_spec()
    assert list(spec.services or ()) == ["plantao"]
    with pytest.raises(Exception, match="stop_grace_period"):
        compose_spec.PyCompose.from_yaml(COMPOSE.replace("stop_grace_period: 45s", "stop_grace_period: soon")).to_spec()
