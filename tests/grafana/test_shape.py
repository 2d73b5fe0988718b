"""The dashboard's JSON: what Grafana imports, and what its linter asks for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from vats_exporter.metrics.table import METRICS

GRAFANA = Path(__file__).parents[2] / "grafana"
BOARD: dict[str, Any] = json.loads(
    (GRAFANA / "dashboards" / "vats-trunks.json").read_text(encoding="utf-8")
)
SHARED: dict[str, Any] = json.loads(
    (GRAFANA / "dist" / "vats-trunks.grafana-com.json").read_text(encoding="utf-8")
)


def all_panels() -> list[dict[str, Any]]:
    return [panel for top in BOARD["panels"] for panel in (top, *top.get("panels", []))]


PANELS = [panel for panel in all_panels() if panel["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
panels = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
queries = pytest.mark.parametrize("query", QUERIES)


def test_the_files_are_made_from_the_source() -> None:
    ended = subprocess.run(
        [sys.executable, GRAFANA / "build.py", "--check"], capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_it_is_the_classic_schema_with_a_fixed_uid_and_can_be_edited() -> None:
    assert BOARD["schemaVersion"] <= 42
    assert BOARD["uid"] == "vats-trunks"
    assert BOARD["title"] == "VATS trunks"
    # Grafana takes a dashboard that says nothing of it as editable; its linter wants it unsaid.
    assert BOARD.get("editable", True) is True
    assert BOARD["tags"]
    assert BOARD.get("id") is None


def test_the_provisioned_form_asks_for_nothing_and_the_shared_one_for_its_data_source() -> None:
    text = json.dumps(BOARD)
    assert "__inputs" not in BOARD
    assert "DS_PROMETHEUS" not in text
    (asked,) = SHARED["__inputs"]
    assert (asked["name"], asked["pluginId"]) == ("DS_PROMETHEUS", "prometheus")
    needed = {entry["id"] for entry in SHARED["__requires"]}
    assert {"grafana", "prometheus", *(panel["type"] for panel in PANELS)} <= needed


def test_the_variables_are_those_that_are_documented() -> None:
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert variables["datasource"]["label"] == "Data source"
    assert variables["datasource"]["type"] == "datasource"
    assert variables["account"]["multi"] is True
    assert variables["account"]["includeAll"] is True
    assert variables["phone"]["type"] == "textbox"
    shown = [name for name, one in variables.items() if one.get("hide", 0) != 2]
    assert shown == ["datasource", "account", "phone"]


def test_ids_are_unique_and_panels_do_not_overlap() -> None:
    ids = [panel["id"] for panel in all_panels()]
    assert len(set(ids)) == len(ids)

    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        return {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }

    for one, other in combinations(all_panels(), 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


@panels
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["noValue"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@queries
def test_a_query_names_metrics_and_labels_that_exist(query: str) -> None:
    table = {metric.name: metric for metric in METRICS}
    plain = re.sub(r"`[^`]*`", "``", re.sub(r'"[^"]*"', '""', query))
    names = re.findall(r"\bvats_[a-z_]+", plain)
    assert names
    for name in names:
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        assert name in table or table[base].type == "histogram", name
    for name, matchers in re.findall(r"(vats_[a-z_]+)\{([^}]*)\}", query):
        metric = table.get(name) or table[re.sub(r"_(bucket|count|sum)$", "", name)]
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", matchers)):
            assert label in {*metric.labels, "job", "instance"}, (name, label)


@queries
def test_a_query_selects_by_job_and_instance_and_rates_over_what_grafana_chooses(
    query: str,
) -> None:
    for matchers in re.findall(r"vats_[a-z_]+\{([^}]*)\}", query):
        assert 'job=~"$job"' in matchers
        assert 'instance=~"$instance"' in matchers
    assert not re.search(r"\bvats_[a-z_]+(?![a-z_{])", query)
    for window in re.findall(r"\b(?:rate|increase|irate)\([^\[]*\[([^\]:]+)", query):
        assert window in ("$__rate_interval", "$__range")


def test_the_provisioning_finds_what_is_mounted() -> None:
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "vats.yml").read_text())
    source = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )
    compose = yaml.safe_load((GRAFANA.parent / "deploy" / "compose.yaml").read_text())
    mounts = dict(
        reversed(volume.removesuffix(":ro").rsplit(":", 1))
        for volume in compose["services"]["grafana"]["volumes"]
    )
    (one,) = provider["providers"]
    assert mounts[one["options"]["path"]] == "../grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "../grafana/provisioning"
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
