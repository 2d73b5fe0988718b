"""The rules and Alertmanager's configuration, as Prometheus' own tools read them."""

from __future__ import annotations

import json
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

ALERTS = {
    "VatsExporterDown": "critical",
    "VatsAccountDown": "critical",
    "VatsLoginRefused": "critical",
    "VatsDataStale": "warning",
    "VatsTrunkInactive": "critical",
    "VatsTrunkUnbound": "critical",
    "VatsTrunkMarkedForDeletion": "warning",
    "VatsTrunkGone": "critical",
    "VatsManyTrunksInactive": "critical",
    "VatsCabinetChanged": "warning",
    "VatsCabinetRedeployed": "info",
}


def run(tool: str, *arguments: str | Path) -> str:
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool}, of Prometheus or its Alertmanager, is not on PATH")
    ended = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
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


def test_each_alert_fires_and_does_not_as_its_tests_say() -> None:
    run("promtool", "test", "rules", DEPLOY / "prometheus" / "tests" / "alerts.test.yml")


def test_each_alert_is_tested_to_fire_and_not_to() -> None:
    document = yaml.safe_load((DEPLOY / "prometheus" / "tests" / "alerts.test.yml").read_text())
    cases = [case for test in document["tests"] for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == set(ALERTS)
    # A redeployment, a pattern and many trunks fall silent in the test that sees them fire.
    assert silent == set(ALERTS)


def test_the_alerts_are_those_that_are_documented() -> None:
    assert {rule["alert"]: rule["labels"]["severity"] for rule in alerts()} == ALERTS


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_in_both_languages(rule: dict[str, Any]) -> None:
    annotations = rule["annotations"]
    assert set(annotations) == {
        "summary",
        "description",
        "summary_ru",
        "description_ru",
        "runbook_url",
    }
    # A summary is the same for all alerts of its name, so that they can be grouped under it.
    assert "{{" not in annotations["summary"] + annotations["summary_ru"]
    assert re.search("[а-яё]", annotations["summary_ru"])
    assert re.search("[а-яё]", annotations["description_ru"])
    assert not re.search("[а-яё]", annotations["summary"] + annotations["description"])
    assert annotations["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    known = {metric.name for metric in METRICS}
    recorded = {other["record"] for other in rules() if "record" in other}
    expression = re.sub(r'"[^"]*"', '""', rule["expr"])
    for name in re.findall(r"account:[a-z_:]+", expression):
        assert name in recorded
    plain = re.sub(r"account:[a-z_:]+", "", expression)
    for name in re.findall(r"\bvats_[a-z_]+", plain):
        assert name in known, name


def test_amtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize("kind", ["telegram", "html"])
@pytest.mark.parametrize(
    ("runbook", "link"),
    [
        ("docs/runbooks/VatsTrunkGone.md", "docs/runbooks/VatsTrunkGone.ru.md"),
        ("docs/HostDown.md", "docs/HostDown.md"),
    ],
)
def test_a_russian_message_leads_to_the_russian_runbook(
    kind: str, runbook: str, link: str, tmp_path: Path
) -> None:
    annotations = {
        "summary_ru": "Транк пропал.",
        "description_ru": "79161234567: пропал.",
        "runbook_url": f"https://example.com/{runbook}",
    }
    labels = {"alertname": "VatsTrunkGone", "account": "office"}
    data = tmp_path / "data.json"
    alert = {"status": "firing", "labels": labels, "annotations": annotations}
    common = {"commonLabels": labels, "commonAnnotations": annotations}
    data.write_text(json.dumps({"status": "firing", "alerts": [alert], **common}))
    message = run(
        "amtool",
        "template",
        "render",
        f"--template.glob={ALERTMANAGER.parent}/templates/*.tmpl",
        f'--template.text={{{{ template "vats.{kind}" . }}}}',
        f"--template.type={'html' if kind == 'html' else 'text'}",
        f"--template.data={data}",
    )
    assert "[1] Транк пропал — office<" in message
    assert "79161234567: пропал." in message
    assert f'<a href="https://example.com/{link}">Что делать</a>' in message


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=VatsTrunkInactive", "severity=critical", "account=office"), "duty"),
        (("alertname=VatsTrunkMarkedForDeletion", "severity=warning", "account=office"), "office"),
        (("alertname=VatsTrunkInactive", "severity=critical", "account=warehouse"), "warehouse"),
        (("alertname=VatsCabinetRedeployed", "severity=info", "account=office"), "webhook"),
        (("alertname=VatsExporterDown", "severity=critical"), "duty"),
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


def test_an_account_that_is_down_silences_its_own_trunks_alone() -> None:
    inhibitions = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))["inhibit_rules"]
    (rule,) = [
        rule
        for rule in inhibitions
        if "VatsAccountDown" in rule["source_matchers"][0]
        and "VatsTrunk" in rule["target_matchers"][0]
    ]
    assert rule["equal"] == ["account"]
    pattern = rule["target_matchers"][0].partition('"')[2].rstrip('"')
    silenced = {name for name in ALERTS if re.fullmatch(pattern, name)}
    assert silenced == {name for name in ALERTS if "Trunk" in name}
