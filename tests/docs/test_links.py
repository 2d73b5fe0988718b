"""Every link between the project's pages leads to a file that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("deploy", "docs", "grafana", "requirements", "tests", ".github")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(one for folder in FOLDERS for one in (ROOT / folder).rglob("*.md"))]
)
BLOB = "https://github.com/vats-exporter/vats-exporter/blob/main/"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target = link.partition("#")[0]
        if target.startswith(BLOB):
            assert (ROOT / target.removeprefix(BLOB)).exists(), link
        elif target and "://" not in target:
            assert (page.parent / target).exists(), link
