"""Every metric that a page names is one that the exporter serves."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
import yaml

from vats_exporter.metrics.table import METRICS

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "deploy", "docs", "fuzz", "grafana", "requirements", "tests")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(one for folder in FOLDERS for one in (ROOT / folder).rglob("*.md"))]
)
RULES = ROOT / "deploy" / "prometheus" / "rules"

SERVED = {metric.name for metric in METRICS} | {
    f"{metric.name}_{ending}"
    for metric in METRICS
    if metric.type == "histogram"
    for ending in ("bucket", "sum", "count")
}
OTHERS = {
    "vats_exporter",  # the Python package
}


@functools.cache
def recorded() -> set[str]:
    """The middle of a recording rule's name, such as account:vats_trunk_inactive:count."""
    groups = [
        group
        for file in RULES.glob("*.yml")
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
    ]
    names = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    return {name.split(":")[1] for name in names}


def named(text: str) -> set[str]:
    """Names as they stand, and those of a pattern for grep, such as vats_(up|trunks)."""
    patterns = re.findall(r"\bvats_\(([a-z_|]+)\)", text)
    together = {f"vats_{one}" for pattern in patterns for one in pattern.split("|")}
    return together | set(re.findall(r"\bvats_[a-z_]+", text))


@pytest.mark.parametrize("page", ["README.md", "README.ru.md"])
def test_the_readme_has_every_metric_with_its_labels(page: str) -> None:
    lines = (ROOT / page).read_text("utf-8").splitlines()
    rows = [line.split("|")[1:3] for line in lines if line.startswith("| `vats_")]
    told = {name: labels.strip() for names, labels in rows for name in re.findall("`(.*?)`", names)}
    assert told == {metric.name: ", ".join(metric.labels) for metric in METRICS}


def test_there_are_pages() -> None:
    assert ROOT / "README.md" in PAGES
    assert ROOT / "docs" / "reliability.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_metrics_that_a_page_names_are_served(page: Path) -> None:
    assert named(page.read_text("utf-8")) - SERVED - OTHERS - recorded() == set()
