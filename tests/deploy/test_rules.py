"""The rules and Alertmanager's configuration, as Prometheus' own tools read them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from vats_exporter.metrics.table import METRICS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules" / "vats-exporter.rules.yml"
ALERTMANAGER = DEPLOY / "alertmanager" / "alertmanager.yml"
TESTS = ("trunks.test.yml", "accounts.test.yml", "exporters.test.yml")

ALERTS = {
    "VatsTrunkInactive": {"critical"},
    "VatsTrunkUnbound": {"critical"},
    "VatsTrunkMarkedForDeletion": {"warning"},
    "VatsTrunkSelectorOff": {"warning"},
    "VatsTrunkFlapping": {"warning"},
    # Info where it was marked for deletion, or off on purpose.
    "VatsTrunkGone": {"critical", "info"},
    "VatsManyTrunksInactive": {"critical"},
    "VatsManyTrunksUnbound": {"critical"},
    "VatsManyTrunksGone": {"critical"},
    "VatsAccountDown": {"critical"},
    "VatsLoginRefused": {"critical"},
    "VatsDataStale": {"warning"},
    "VatsRefreshesFailing": {"warning"},
    "VatsSignInChurn": {"warning"},
    "VatsDetailsFailing": {"warning"},
    "VatsCabinetChanged": {"warning"},
    "VatsCabinetRedeployed": {"info"},
    "VatsExporterDown": {"critical"},
    "VatsProbeDown": {"critical"},
    "VatsConfigNotReloaded": {"warning"},
    "VatsHistoryNotWritten": {"warning"},
    "VatsLogLinesDropped": {"warning"},
}


def run(tool: str, *arguments: str | Path) -> str:
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool}, of Prometheus or its Alertmanager, is not on PATH")
    ended = subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        # Its tests make much garbage: to collect it less often takes a quarter less time.
        env={"TZ": "UTC", "GOGC": "400"},
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    return output


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def test_promtool_accepts_the_rules() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", RULES)


@pytest.mark.parametrize("name", ["prometheus.yml", "scaling.yml"])
def test_promtool_accepts_the_configuration(name: str) -> None:
    run("promtool", "check", "config", DEPLOY / "prometheus" / name)


@pytest.mark.parametrize("name", TESTS)
def test_each_alert_fires_and_does_not_as_its_tests_say(name: str) -> None:
    run("promtool", "test", "rules", DEPLOY / "prometheus" / "tests" / name)


def test_each_alert_is_tested_to_fire_and_not_to() -> None:
    folder = DEPLOY / "prometheus" / "tests"
    documents = [yaml.safe_load((folder / name).read_text("utf-8")) for name in TESTS]
    firing = [
        {sample["labels"].partition('alertname="')[2].partition('"')[0] for sample in samples}
        for document in documents
        for test in document["tests"]
        for samples in (case["exp_samples"] for case in test["promql_expr_test"])
    ]
    assert set().union(*firing) == set(ALERTS)
    assert all(any(name not in names for names in firing) for name in ALERTS)


def test_the_alerts_are_those_that_are_documented() -> None:
    severities: dict[str, set[str]] = {}
    for rule in alerts():
        found = severities.setdefault(rule["alert"], set())
        # Those of a mass of trunks have no labels of the rule's: the expression gives them.
        found |= set(re.findall(r'"severity", "(\w+)"', rule["expr"]))
        found |= {rule["labels"]["severity"]} if "labels" in rule else set()
    assert severities == ALERTS
    for page in ("dashboard-and-alerts.md", "dashboard-and-alerts.ru.md"):
        text = (ROOT / "docs" / page).read_text("utf-8")
        rows = dict(re.findall(r"^\| \[(Vats\w+)\]\([^)]*\) \| ([a-z, ]+) \|", text, re.MULTILINE))
        assert {name: set(words.split(", ")) for name, words in rows.items()} == ALERTS


TOLD = [rule for rule in alerts() if "annotations" in rule]


@pytest.mark.parametrize("rule", TOLD, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_and_how_it_ends_in_both_languages(
    rule: dict[str, Any],
) -> None:
    annotations = rule["annotations"]
    english = ("summary", "description", "resolved")
    russian = tuple(f"{name}_ru" for name in english)
    assert set(annotations) == {*english, *russian, "runbook_url", "dashboard_url"}
    # A summary is the same for all alerts of its name, so that they can be grouped under it.
    assert "{{" not in annotations["summary"] + annotations["summary_ru"]
    assert all(re.search("[а-яё]", annotations[name]) for name in russian)
    assert not any(re.search("[а-яё]", annotations[name]) for name in english)
    assert annotations["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")


def test_only_alerts_of_a_mass_of_trunks_have_no_texts() -> None:
    for rule in alerts():
        assert ("annotations" in rule) != ('brief="yes"' in rule["expr"]), rule["alert"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    known = {metric.name for metric in METRICS}
    recording = yaml.safe_load((RULES.parent / "vats-recording.yml").read_text("utf-8"))
    other = [one for group in recording["groups"] for one in group["rules"]]
    recorded = {one["record"] for one in (*rules(), *other) if "record" in one}
    expression = re.sub(r'"[^"]*"', '""', rule["expr"])
    own = r"\b(?:account|trunk|pattern):[a-z_]+:[a-z_]+"
    assert set(re.findall(own, expression)) <= recorded
    assert set(re.findall(r"\bvats_[a-z_]+", re.sub(own, "", expression))) <= known


def test_amtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=VatsTrunkInactive", "severity=critical", "account=office"), "duty"),
        (("alertname=VatsTrunkMarkedForDeletion", "severity=warning", "account=office"), "office"),
        (("alertname=VatsTrunkInactive", "severity=critical", "account=warehouse"), "warehouse"),
        (("alertname=VatsCabinetRedeployed", "severity=info", "account=office"), "webhook"),
        (("alertname=VatsExporterDown", "severity=critical"), "duty"),
        (("alertname=VatsTrunkGone", "severity=critical", "account=office"), "duty"),
        (("alertname=VatsTrunkGone", "severity=info", "account=office"), "webhook"),
        (("alertname=Watchdog",), "webhook"),
    ],
)
def test_alerts_reach_whom_they_should(labels: tuple[str, ...], receiver: str) -> None:
    run(
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={ALERTMANAGER}",
        f"--verify.receivers={receiver}",
        *labels,
    )


def test_an_alert_is_held_back_only_where_another_makes_it_unknowable() -> None:
    configuration = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))

    def names(matchers: list[str]) -> set[str]:
        pattern = re.findall(r'alertname=~?"([^"]*)"', " ".join(matchers))[0]
        return {name for name in ALERTS if re.fullmatch(pattern, name)}

    held = [
        (names(rule["source_matchers"]), names(rule["target_matchers"]), rule["equal"])
        for rule in configuration["inhibit_rules"]
    ]
    of_trunks = {name for name in ALERTS if "Trunk" in name}
    assert held == [
        ({"VatsAccountDown", "VatsLoginRefused", "VatsDataStale"}, of_trunks, ["account"]),
        (
            {"VatsTrunkGone"},
            {
                "VatsTrunkInactive",
                "VatsTrunkUnbound",
                "VatsTrunkSelectorOff",
                "VatsTrunkFlapping",
            },
            ["account", "trunk"],
        ),
        ({"VatsExporterDown"}, {"VatsProbeDown"}, ["exporter"]),
    ]


def test_what_was_told_is_remembered_for_longer_than_until_it_is_told_again() -> None:
    route = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))["route"]
    hours = {"h": 1, "d": 24}
    intervals = [
        one["repeat_interval"] for one in (route, *route["routes"]) if "repeat_interval" in one
    ]
    retention = 120  # Alertmanager's own --data.retention, in hours
    assert all(int(one[:-1]) * hours[one[-1]] < retention for one in intervals)
