"""Whoever adds a flag, a command or an alert is told where it is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from vats_exporter.cli import COMMANDS
from vats_exporter.demo import SimulatedCabinet
from vats_exporter.trunks import FLAGS, ROW_FLAGS

ROOT = Path(__file__).parents[2]
FLAG_PLACES = {
    "the rules": ROOT.glob("deploy/prometheus/rules/*.yml"),
    "the dashboards": ROOT.glob("grafana/dashboards/*.json"),
}
RULES = sorted(ROOT.glob("deploy/prometheus/rules/*.yml"))


def alerts() -> list[str]:
    groups = [
        group for file in RULES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
    ]
    return [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_place_that_the_checklists_name_is_there() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text("utf-8")
    places = re.findall(r"`((?:[a-z_.-]+/)+[\w.-]*)`", text)
    assert len(places) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("place", FLAG_PLACES)
def test_every_flag_is_in(place: str) -> None:
    texts = "".join(file.read_text("utf-8") for file in FLAG_PLACES[place])
    assert [flag.key for flag in FLAGS if flag.key not in texts] == []


def test_the_demos_trunks_have_every_flag_of_the_row() -> None:
    with SimulatedCabinet() as cabinet:
        truth = cabinet.trunks()[0]
    assert {flag.key for flag in ROW_FLAGS} <= truth.keys()


@pytest.mark.parametrize("page", ["README.md", "README.ru.md"])
def test_every_command_is_in(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    missing = [name for name in COMMANDS if f"vats-exporter {name}" not in text]
    assert missing == []


@pytest.mark.parametrize("page", ["dashboard-and-alerts.md", "dashboard-and-alerts.ru.md"])
def test_every_alert_is_in(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert [alert for alert in alerts() if alert not in text] == []


def test_every_alert_has_a_runbook() -> None:
    assert [a for a in alerts() if not (ROOT / "docs" / "runbooks" / f"{a}.md").exists()] == []
