"""The recording rules, as Prometheus' own tools read them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from vats_exporter.metrics.table import METRICS
from vats_exporter.trunks import FLAGS, Flag

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules" / "vats-recording.yml"
FLAG_RULES = RULES.with_name("vats-exporter.rules.yml")
"""Whose recorded flags the others stand on."""


def rules(file: Path = RULES) -> list[dict[str, Any]]:
    groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str | Path) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool, of Prometheus, is not on PATH")
    ended = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_promtool_accepts_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES)


def test_they_record_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS / "tests" / "recording.test.yml")


def test_each_rule_but_those_in_between_is_tested() -> None:
    tests = (PROMETHEUS / "tests" / "recording.test.yml").read_text(encoding="utf-8")
    used = "".join(rule["expr"] for rule in rules())
    for rule in rules():
        assert rule["record"] in tests or rule["record"] in used


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["record"]))
def test_a_rule_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    known = {metric.name for metric in METRICS} | {other["record"] for other in rules()}
    known |= {other["record"] for other in rules(FLAG_RULES) if "record" in other}
    known |= {f"{metric.name}_bucket" for metric in METRICS if metric.type == "histogram"}
    asked = re.findall(r"\b(?:\w+:)?vats_[a-z_]+(?::\w+)?", rule["expr"])
    assert asked
    assert set(asked) <= known


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: str(flag.key))
def test_each_flag_can_be_a_trouble(flag: Flag) -> None:
    (wrong,) = [
        rule
        for rule in rules(FLAG_RULES)
        if rule.get("record") == "trunk:vats_trunk_flag_wrong:info"
        and rule["labels"] == {"flag": flag.key}
    ]
    assert f"({flag.metric} == {int(flag.trouble)})" in wrong["expr"]
    troubles = [rule for rule in rules() if rule["record"] == "trunk:vats_trunk_trouble:info"]
    used = "".join(rule["expr"] for rule in troubles)
    known = "".join(rule["expr"] for rule in rules(FLAG_RULES) if rule.get("record", "") in used)
    assert f'trunk:vats_trunk_flag_wrong:info{{flag="{flag.key}"}}' in used + known
