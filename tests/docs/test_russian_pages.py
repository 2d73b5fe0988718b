"""The Russian pages: each beside an English one, Russian where it leads, and nothing left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.ru.md"
PAGES = [
    README,
    *(page for one in ("docs", "deploy", "grafana") for page in (ROOT / one).rglob("*.ru.md")),
]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def english(page: Path) -> str:
    return page.name.replace(".ru.md", ".md")


@pages
def test_a_page_begins_with_its_title_and_a_link_to_the_english_one(page: Path) -> None:
    assert page.with_name(english(page)).exists()
    text = re.sub("<!--.*?-->", "", page.read_text("utf-8"))
    title, link = text.lstrip().split("\n\n")[:2]
    assert title.startswith("# ")
    assert link.startswith(f"[In English]({english(page)})")


@pages
def test_links_lead_to_what_is_there_in_russian_if_it_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if target.startswith("http") or target == english(page):
            continue
        file = page.parent / target
        assert file.exists(), target
        is_english = file.suffix == ".md" and not file.name.endswith(".ru.md")
        assert not (is_english and file.with_suffix(".ru.md").exists()), target


def test_the_readme_leads_to_every_page() -> None:
    folders = (DOCS, DOCS / "reference")
    expected = {
        DOCS / "runbooks" / "README.ru.md",
        *(one for one in PAGES if one.parent in folders),
    }
    targets = re.findall(r"\]\(([^)#]+)", README.read_text("utf-8"))
    assert expected <= {ROOT / target for target in targets}


def severities() -> dict[str, str]:
    file = ROOT / "deploy" / "prometheus" / "rules" / "vats-exporter.rules.yml"
    groups = yaml.safe_load(file.read_text("utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    found: dict[str, str] = {}
    for rule in rules:
        # The alerts of a mass of trunks have no texts of their own.
        if "annotations" in rule:
            name, severity = rule["alert"], rule["labels"]["severity"]
            found[name] = f"{found[name]}, {severity}" if name in found else severity
    return found


@pytest.mark.parametrize(
    "page", [README, DOCS / "dashboard-and-alerts.ru.md", DOCS / "runbooks" / "README.ru.md"]
)
def test_every_alert_is_in_the_tables_with_its_severity(page: Path) -> None:
    # A name may be a link, and a row may be about several.
    text = page.read_text("utf-8")
    rows = re.findall(r"^\| ([^|]*Vats[^|]+) \| ([a-z, ]+) \|", text, re.MULTILINE)
    shown = {name: severity for names, severity in rows for name in re.findall(r"\bVats\w+", names)}
    assert shown == severities()


def test_every_panel_and_variable_of_the_dashboard_is_described() -> None:
    board = json.loads((ROOT / "grafana" / "dashboards" / "vats-trunks-ru.json").read_text("utf-8"))
    panels = [panel for top in board["panels"] for panel in (top, *top.get("panels", ()))]
    variables = [one for one in board["templating"]["list"] if one.get("hide", 0) != 2]
    titles = [panel["title"].partition(" (")[0] for panel in panels]
    titles += [one["label"] for one in variables]
    text = (DOCS / "dashboard-and-alerts.ru.md").read_text("utf-8")
    assert [title for title in titles if f"*{title}*" not in text] == []
