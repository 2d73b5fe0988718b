"""The runbooks: one per alert in each language, with the same parts, and commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from vats_exporter.cli import COMMANDS

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES = ROOT / "deploy" / "prometheus" / "rules" / "vats-exporter.rules.yml"
ALERTS = [
    rule["alert"]
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
HEADINGS = {
    ".md": ["## Meaning", "## Impact", "## Diagnosis", "## What to do"],
    ".ru.md": ["## Что это значит", "## Чем грозит", "## Как разобраться", "## Что делать"],
}
FILES = sorted(RUNBOOKS.glob("*.md"))


def test_there_is_a_runbook_an_alert_in_both_languages_and_no_other() -> None:
    expected = {f"{alert}{ending}" for alert in ALERTS for ending in HEADINGS}
    assert {file.name for file in FILES} == expected | {"README.md", "README.ru.md"}


@pytest.mark.parametrize("alert", ALERTS)
@pytest.mark.parametrize("ending", HEADINGS)
def test_a_runbook_has_its_parts_in_order(alert: str, ending: str) -> None:
    text = (RUNBOOKS / f"{alert}{ending}").read_text(encoding="utf-8")
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## .*$", text, re.MULTILINE) == HEADINGS[ending]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_links_lead_somewhere_and_commands_exist(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("http") or (file.parent / target).exists(), target
    # The first of two is the container's name.
    named = r"vats-exporter (?!vats-exporter)([a-z][a-z-]+)(?= |`|$)"
    for command in re.findall(named, text, re.MULTILINE):
        assert command in COMMANDS, command
