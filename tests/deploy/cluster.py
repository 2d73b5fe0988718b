"""What a cluster does with manifests, as far as tests need it: read, check and mount them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

OPERATOR: Final = "monitoring.coreos.com/v1"
"""The kinds of the Prometheus operator, whose schema only a cluster with it has."""

KUBERNETES: Final = ("1.25", "1.37")
"""The oldest that the chart allows, and the newest whose schemas are at hand."""

Manifest = dict[str, Any]


def program(name: str) -> str:
    """Return where kubectl or helm is: `make` puts them beside Python."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not there: `make` unpacks it from requirements/tools.txt")
    return found


def run(name: str, *arguments: str | Path, stdin: str | None = None) -> str:
    """Run kubectl or helm, and return what it prints."""
    ended = subprocess.run(
        [program(name), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        input=stdin,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def read(text: str) -> list[Manifest]:
    """Read manifests."""
    return [one for one in yaml.safe_load_all(text) if one is not None]


def the(kind: str, manifests: list[Manifest]) -> Manifest:
    """Return the one manifest of a kind."""
    (found,) = (one for one in manifests if one["kind"] == kind)
    return found


def check(manifest: Manifest) -> None:
    """Fail unless the schemas allow a manifest, and its name."""
    longest = 63 if manifest["kind"] in {"Deployment", "Service"} else 253
    assert len(manifest["metadata"]["name"]) <= longest
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", manifest["metadata"]["name"])
    if manifest["apiVersion"] == OPERATOR:
        _check_operators(manifest)
        return
    for version in KUBERNETES:
        kubernetes_validate.validate(manifest, version, strict=True)


def _check_operators(manifest: Manifest) -> None:
    """As the operator's API reference has them: the keys that this project uses."""
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    spec = manifest["spec"]
    if manifest["kind"] == "PrometheusRule":
        assert set(spec) == {"groups"}
        return
    endpoints = {"ServiceMonitor": "endpoints", "PodMonitor": "podMetricsEndpoints"}
    assert set(spec) == {"selector", endpoints[manifest["kind"]]}
    for endpoint in spec[endpoints[manifest["kind"]]]:
        assert set(endpoint) <= {
            *("port", "path", "interval", "scrapeTimeout", "scheme", "tlsConfig", "basicAuth"),
            *("relabelings", "metricRelabelings"),
        }


def mount(manifests: list[Manifest], secrets: dict[str, dict[str, str]], folder: Path) -> None:
    """Write what the pod's projected volumes hold into a folder, under their mount paths.

    Args:
        manifests: the pod's, and the config maps it mounts.
        secrets: what is in each secret of the cluster.
        folder: stands for the root of the container.
    """
    spec = the("Deployment", manifests)["spec"]["template"]["spec"]
    held = {
        "configMap": {
            one["metadata"]["name"]: one["data"] for one in manifests if one["kind"] == "ConfigMap"
        },
        "secret": secrets,
    }
    mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
    assert set(mounts) == {one["name"] for one in spec["volumes"]}
    for volume in spec["volumes"]:
        at = folder / mounts[volume["name"]].lstrip("/")
        at.mkdir(parents=True)
        for source in volume.get("projected", {}).get("sources", []):
            ((kind, one),) = source.items()
            data = held[kind][one["name"]]
            items = one.get("items", [{"key": key, "path": key} for key in data])
            for item in items:
                if item["key"] in data or not one.get("optional"):
                    (at / item["path"]).parent.mkdir(exist_ok=True)
                    (at / item["path"]).write_text(data[item["key"]], "utf-8")
                    (at / item["path"]).chmod(volume["projected"]["defaultMode"])
