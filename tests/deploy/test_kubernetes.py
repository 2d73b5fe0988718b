"""The Kubernetes manifests: valid, in line with each other, and with the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy import cluster
from tests.scripts import load_script
from vats_exporter.config.models import Config

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "kubernetes"
MANIFESTS: Final = {
    file.name: yaml.safe_load(file.read_text("utf-8"))
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name not in {"kustomization.yaml", "values.yaml"}
}
KUSTOMIZATION: Final = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_manifest_is_valid(name: str) -> None:
    cluster.check(MANIFESTS[name])


def test_kustomize_takes_each_manifest() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == sorted(MANIFESTS)


def test_the_manifests_are_those_of_the_chart() -> None:
    made = load_script(FOLDER / "build.py").render(cluster.program("helm"))
    kept = {name: (FOLDER / name).read_text("utf-8") for name in MANIFESTS}
    assert kept == made, "stale: `make manifests`"


@pytest.fixture(scope="module")
def rendered() -> list[cluster.Manifest]:
    """What `kubectl apply -k` would send."""
    return cluster.read(cluster.run("kubectl", "kustomize", FOLDER))


def test_what_is_rendered_is_valid(rendered: list[cluster.Manifest]) -> None:
    kinds = sorted(one["kind"] for one in rendered)
    assert kinds == sorted([*(one["kind"] for one in MANIFESTS.values()), "ConfigMap"])
    for one in rendered:
        cluster.check(one)


def test_what_is_rendered_names_an_image_and_its_own_configuration(
    rendered: list[cluster.Manifest],
) -> None:
    spec = cluster.the("Deployment", rendered)["spec"]["template"]["spec"]
    (image,) = KUSTOMIZATION["images"]
    assert spec["containers"][0]["image"] == f"{image['newName']}:{image['newTag']}"
    # A new configuration has a new name, so that its change starts a new pod.
    volumes = {one["name"]: one for one in spec["volumes"]}
    (config,) = volumes["config"]["projected"]["sources"]
    made = cluster.the("ConfigMap", rendered)
    assert config["configMap"]["name"] == made["metadata"]["name"] != "vats-exporter"
    kept = made["data"]["vats-exporter.yml"]
    assert kept == (FOLDER / "vats-exporter.yml").read_text("utf-8")
    for one in rendered:
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "vats-exporter"


def test_the_pod_mounts_what_its_configuration_names(
    rendered: list[cluster.Manifest], tmp_path: Path
) -> None:
    cluster.mount(rendered, {"vats-exporter": {"office": "12345"}}, tmp_path)
    keys = yaml.safe_load((tmp_path / "etc/vats-exporter/vats-exporter.yml").read_text("utf-8"))
    assert set(keys) <= set(Config.model_fields)
    (account,) = keys["accounts"]
    assert (tmp_path / account["password_file"].lstrip("/")).read_text() == "12345"
    assert (tmp_path / keys["history"]["file"].lstrip("/")).parent.is_dir()


def test_scrapes_come_from_where_prometheus_is() -> None:
    (ingress,) = MANIFESTS["networkpolicy.yaml"]["spec"]["ingress"]
    (peer,) = ingress["from"]
    wanted = {"kubernetes.io/metadata.name": "monitoring"}
    assert peer == {"namespaceSelector": {"matchLabels": wanted}}


def test_dashboards_become_a_config_map_as_the_readme_says() -> None:
    folder = ROOT / "grafana" / "dashboards"
    command = f"kubectl create configmap vats-dashboards --from-file={folder.relative_to(ROOT)}/"
    for page in ("README.md", "README.ru.md"):
        assert command in (FOLDER / page).read_text("utf-8")
    printed = cluster.run(
        *("kubectl", "create", "configmap", "vats-dashboards", f"--from-file={folder}"),
        *("--dry-run=client", "-o", "yaml"),
    )
    labelled = cluster.run(
        *("kubectl", "label", "--local", "-f", "-", "grafana_dashboard=1", "-o", "yaml"),
        stdin=printed,
    )
    (manifest,) = cluster.read(labelled)
    cluster.check(manifest)
    assert manifest["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert {name: json.loads(text) for name, text in manifest["data"].items()} == {
        one.name: json.loads(one.read_text("utf-8")) for one in folder.glob("*.json")
    }


def test_the_rules_are_those_of_prometheus() -> None:
    groups: list[dict[str, Any]] = []
    for file in sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")):
        groups += yaml.safe_load(file.read_text("utf-8"))["groups"]
    assert MANIFESTS["prometheusrule.yaml"]["spec"] == {"groups": groups}
