"""Makes a site of each language: English at the root, Russian (the pages ``.ru.md``) in ``ru/``.

Links from one language to the other lead from site to site, and those out of this folder to the
repository.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

REPOSITORY = "https://github.com/vats-exporter/vats-exporter/blob/main/"


def url_of(page: str) -> str:
    """Return a page's address in its site: ``runbooks/`` of ``runbooks/README.ru.md``."""
    name = page.removesuffix(".md").removesuffix(".ru")
    folder, _, last = name.rpartition("/")
    return f"{folder}/".lstrip("/") if last in ("README", "index") else f"{name}/"


def on_files(files: Any, config: Any) -> Any:
    """Give each page its address; called by mkdocs."""
    for file in list(files.documentation_pages()):
        files.remove(file)
        destination = f"{url_of(file.src_uri)}index.html"
        own = (file.src_uri, config.docs_dir, config.site_dir, config.use_directory_urls)
        files.append(type(file)(*own, dest_uri=destination, inclusion=file.inclusion))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Rewrite a page's links; called by mkdocs for each page."""
    folder = posixpath.dirname(page.file.src_uri)
    is_russian = config.theme["language"] == "ru"
    root = "../" * page.url.count("/") or "./"
    other = f"{root}../" if is_russian else f"{root}ru/"

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, match[1]))
        if not target.startswith("docs/") or target.endswith(".json"):
            return f"]({REPOSITORY}{target}{match[2] or ''})"
        if target.endswith(".md") and target.endswith(".ru.md") is not is_russian:
            return f"]({other}{url_of(target.removeprefix('docs/'))}{match[2] or ''})"
        return match[0]

    return re.sub(r"\]\((?![a-z]+:)([^)#]+)(#[^)]*)?\)", lead, markdown)
