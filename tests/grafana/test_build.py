"""The dashboards: what Grafana imports, in both languages, and what its linter asks for."""

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

from grafana.build import all_panels, built, for_grafana_com
from vats_exporter.metrics.table import METRICS
from vats_exporter.trunks import FLAGS

GRAFANA = Path(__file__).parents[2] / "grafana"
RULES = GRAFANA.parent / "deploy" / "prometheus" / "rules"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
ENGLISH = [uid for uid in BOARDS if not uid.endswith("-ru")]

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
panels = pytest.mark.parametrize(
    "panel",
    [
        pytest.param(panel, id=f"{uid} {panel['title']}")
        for uid, board in BOARDS.items()
        for panel in all_panels(board)
    ],
)


def queries_of(board: dict[str, Any]) -> dict[str, str]:
    """Everything that a dashboard asks in PromQL, by where it stands."""
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in all_panels(board)
        for target in panel["targets"]
    }
    found |= {f"annotation {one['name']}": one["expr"] for one in board["annotations"]["list"][1:]}
    return found | {
        f"variable {one['name']}": one["query"]["query"].removeprefix("query_result")
        for one in board["templating"]["list"]
        if one["type"] == "query" and one["query"]["query"].startswith("query_result")
    }


queries = pytest.mark.parametrize(
    "query",
    [
        pytest.param(query, id=f"{uid} {where}")
        for uid in ENGLISH
        for where, query in queries_of(BOARDS[uid]).items()
    ],
)


def test_the_files_are_made_from_the_source() -> None:
    ended = subprocess.run(
        [sys.executable, GRAFANA / "build.py", "--check"], capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert set(BOARDS) == set(built())


def test_there_are_two_dashboards_in_two_languages() -> None:
    assert {board["uid"]: board["title"] for board in BOARDS.values()} == {
        "vats-trunk": "VATS trunk",
        "vats-trunk-ru": "Транк ВАТС",
        "vats-trunks": "VATS trunks",
        "vats-trunks-ru": "Транки ВАТС",
    }


@boards
def test_it_is_the_classic_schema_with_a_fixed_uid_and_can_be_edited(board: dict[str, Any]) -> None:
    assert board["schemaVersion"] <= 42
    # Grafana takes a dashboard that says nothing of it as editable; its linter wants it unsaid.
    assert board.get("editable", True) is True
    assert board["tags"]
    assert board.get("id") is None


@boards
def test_the_provisioned_form_asks_for_nothing_and_the_shared_one_for_its_data_source(
    board: dict[str, Any],
) -> None:
    assert "__inputs" not in board
    assert "DS_PROMETHEUS" not in json.dumps(board)
    shared = for_grafana_com(board)
    (asked,) = shared["__inputs"]
    assert (asked["name"], asked["pluginId"]) == ("DS_PROMETHEUS", "prometheus")
    needed = {entry["id"] for entry in shared["__requires"]}
    assert {"grafana", "prometheus", *(panel["type"] for panel in all_panels(board))} <= needed


def test_the_variables_are_those_that_are_documented() -> None:
    shown = {
        uid: [one["name"] for one in board["templating"]["list"] if one["hide"] != 2]
        for uid, board in BOARDS.items()
    }
    assert shown["vats-trunks"] == shown["vats-trunks-ru"] == ["datasource", "account", "phone"]
    assert shown["vats-trunk"] == shown["vats-trunk-ru"] == ["datasource", "account", "trunk"]


def test_what_is_asked_for_anew_at_each_refresh_stays_out_of_the_address() -> None:
    kept = {
        one["name"] for one in BOARDS["vats-trunks"]["templating"]["list"] if not one["skipUrlSync"]
    }
    assert kept == {"datasource", "job", "instance", "account", "phone"}


@boards
def test_ids_are_unique_and_panels_do_not_overlap(board: dict[str, Any]) -> None:
    everything = [one for top in board["panels"] for one in (top, *top.get("panels", []))]
    ids = [panel["id"] for panel in everything]
    assert len(set(ids)) == len(ids)

    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        return {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }

    for one, other in combinations(everything, 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


@panels
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@panels
def test_counts_are_exact(panel: dict[str, Any]) -> None:
    # The unit "short" writes 3.94 K for 3,940.
    fields = panel["fieldConfig"]
    units = {
        one["value"] for o in fields["overrides"] for one in o["properties"] if one["id"] == "unit"
    }
    assert fields["defaults"]["unit"] not in {"", "short"}
    assert "short" not in units


@panels
def test_a_label_is_not_taken_for_a_number(panel: dict[str, Any]) -> None:
    # A phone is digits, and with a unit of numbers it would be written as 79,161,234,567.
    for override in panel["fieldConfig"]["overrides"]:
        said = {one["id"]: one["value"] for one in override["properties"]}
        if "noValue" in said and override["matcher"]["options"] in {
            "Phone",
            "Name",
            "Account",
            "Номер",
        }:
            assert said["unit"] == "string"


@panels
def test_what_has_no_value_is_not_green(panel: dict[str, Any]) -> None:
    if panel["type"] != "stat":
        return
    fields = panel["fieldConfig"]
    thresholds = [fields["defaults"]["thresholds"]] + [
        one["value"]
        for override in fields["overrides"]
        for one in override["properties"]
        if one["id"] == "thresholds"
    ]
    assert {each["steps"][0]["color"] for each in thresholds} <= {"#808080"}


@boards
def test_a_link_leads_to_a_dashboard_of_the_same_language_or_to_a_runbook(
    board: dict[str, Any],
) -> None:
    ending = "-ru" if board["uid"].endswith("-ru") else ""
    urls = re.findall(r'"url": "([^"]+)"', json.dumps(board))
    assert urls
    for url in urls:
        if url.startswith("https:"):
            assert "/docs/runbooks/${__value.raw}" in url
            assert url.endswith(".ru.md" if ending else "}.md")
        else:
            assert re.match(rf"/d/vats-trunks?{ending}(\?|$)", url), url


def test_a_trunks_row_leads_to_its_own_dashboard() -> None:
    (table,) = [
        panel
        for panel in all_panels(BOARDS["vats-trunks"])
        if panel["title"].startswith("Trunks that need attention")
    ]
    links = {
        override["matcher"]["options"]: one["value"][0]["url"]
        for override in table["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "links"
    }
    assert set(links) == {"Phone", "Reference", "Account"}
    for column in ("Phone", "Reference"):
        assert links[column].startswith("/d/vats-trunk?")
        assert "var-account=${__data.fields.account" in links[column]
        assert "var-trunk=${__data.fields.trunk" in links[column]


@queries
def test_a_query_names_metrics_and_labels_that_exist(query: str) -> None:
    table = {metric.name: metric.labels for metric in METRICS}
    for name, labels in list(table.items()):
        table |= {f"{name}_{ending}": labels for ending in ("bucket", "count", "sum")}
    of_rules = re.findall(
        r"record: (\S+)", "".join(file.read_text("utf-8") for file in RULES.glob("*.yml"))
    )
    others = {"up", "ALERTS", "ALERTS_FOR_STATE"}
    for name, matchers in re.findall(r"([A-Za-z0-9_:]+)\{([^}]*)\}", query):
        if name in others or name.startswith("process_"):
            continue
        if ":" in name:
            assert name in of_rules
            continue
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", matchers)):
            assert label in {*table[name], "job", "instance"}, (name, label)
    bare = re.findall(r"(?<![\w:])(vats_[a-z_]+|\w+:vats_\w+:\w+)(?![\w:{])", query)
    assert set(bare) <= set(of_rules)


@queries
def test_a_query_selects_by_job_and_instance_and_rates_over_what_grafana_chooses(
    query: str,
) -> None:
    for matchers in re.findall(r"(?<!:)\b(?:vats_[a-z_]+|up)\{([^}]*)\}", query):
        assert 'job=~"$job"' in matchers
        assert 'instance=~"$instance"' in matchers
    for window in re.findall(r"\b(?:rate|irate)\([^\[]*\[([^\]:]+)", query):
        assert window == "$__rate_interval"
    # An increase is estimated, and in steps shorter than its window one event is in several bars.
    for window in re.findall(r"\bincrease\([^\[]*\[([^\]:]+)", query):
        assert window in {"15m", "$__range"}


@pytest.mark.parametrize("uid", ["vats-trunks", "vats-trunk"])
@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: str(flag.key))
def test_each_flag_is_told_of(flag: Any, uid: str) -> None:
    texts = "".join(queries_of(BOARDS[uid]).values())
    for words in (flag.on, flag.off):
        assert f'"what", "{words.en}"' in texts
    if uid == "vats-trunk":
        assert flag.metric in texts


def test_each_trouble_that_is_recorded_has_words_and_a_lane() -> None:
    rules = (RULES / "vats-recording.yml").read_text(encoding="utf-8")
    recorded = set(re.findall(r'"trouble", "(\w+)"', rules))
    source = yaml.safe_load((GRAFANA / "src" / "common.yml").read_text(encoding="utf-8"))
    assert recorded <= set(source["mappings"]["troubles"])
    assert set(re.findall(r'trouble="(\w+)"', source["pieces"]["lane"])) == recorded
    tiles = json.dumps(BOARDS["vats-trunks"])
    for trouble in recorded:
        assert f'trouble=\\"{trouble}\\"' in tiles


def test_an_alert_that_is_asked_for_exists() -> None:
    rules = "".join(file.read_text(encoding="utf-8") for file in RULES.glob("*.yml"))
    asked = set(re.findall(r'alertname=\\"(\w+)\\"', json.dumps(BOARDS["vats-trunks"])))
    assert asked
    for name in asked:
        assert f"- alert: {name}\n" in rules


def test_no_text_of_the_russian_edition_is_english() -> None:
    for uid, board in BOARDS.items():
        if not uid.endswith("-ru"):
            continue
        texts = [board["description"], *(panel["description"] for panel in all_panels(board))]
        texts += [panel["fieldConfig"]["defaults"]["noValue"] for panel in all_panels(board)]
        for text in texts:
            assert text == "?" or re.search("[а-яё]", text), text


def test_both_languages_ask_the_same() -> None:
    for uid in ENGLISH:
        one, other = (
            [re.sub('"[^"]*"', '""', query) for query in queries_of(BOARDS[name]).values()]
            for name in (uid, f"{uid}-ru")
        )
        assert one == other


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


@boards
def test_a_title_names_only_labels_that_are_there(board: dict[str, Any]) -> None:
    # Grafana writes the label's name where a series does not have it, as one without a phone.
    for annotation in board["annotations"]["list"][1:]:
        for label in re.findall(r"{{(\w+)}}", annotation["titleFormat"]):
            assert label not in {"phone", "name"}
