"""The documentation's site: each language by itself, and every page to be found in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from docs.site import url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
RUSSIAN = {page for page in PAGES if page.endswith(".ru.md")}
SITES = {"mkdocs.yml": PAGES - RUSSIAN, "mkdocs.ru.yml": RUSSIAN}


def pages_in(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for one in entry.values() if isinstance(entry, dict) else entry:
            yield from pages_in(one)


@pytest.mark.parametrize("site", SITES)
def test_a_sites_navigation_leads_to_all_pages_of_its_language_once(site: str) -> None:
    found = [*pages_in(yaml.safe_load((ROOT / site).read_text("utf-8"))["nav"])]
    assert sorted(found) == sorted(SITES[site])


@pytest.mark.parametrize(
    ("page", "url"),
    [
        ("index.md", ""),
        ("index.ru.md", ""),
        ("install.ru.md", "install/"),
        ("runbooks/README.md", "runbooks/"),
        ("runbooks/VatsDataStale.ru.md", "runbooks/VatsDataStale/"),
    ],
)
def test_a_page_has_the_same_address_in_each_language(page: str, url: str) -> None:
    assert url_of(page) == url
