"""Leads links out of this folder to the repository, when the pages are made into a site."""

from __future__ import annotations

import posixpath
import re
from typing import Any

REPOSITORY = "https://github.com/vats-exporter/vats-exporter/blob/main/"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite a page's links; called by mkdocs for each page."""
    folder = posixpath.dirname(page.file.src_uri)

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, match[1]))
        inside = target.startswith("docs/") and not target.endswith(".json")
        return match[0] if inside else f"]({REPOSITORY}{target})"

    return re.sub(r"\]\((?![a-z]+:)([^)#]+)\)", lead, markdown)
