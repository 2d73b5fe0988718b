"""The example configuration has every key, with the default where there is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scripts import load_script
from vats_exporter.config.models import Config

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = load_script(ROOT / "docs" / "build_reference.py").schema_of(Config)

ELSEWHERE = (
    "accounts[].flags",  # described once, for the whole file
    "details.enabled",  # `details: on` is short for it
)
"""Keys that the example need not have."""

EXAMPLES = {"accounts[].tls.security_level"}
"""Keys that are shown with another value than their default, since that is what they are for."""


def example() -> Any:
    """The example with its commented keys as well."""
    lines = []
    for line in (ROOT / "vats-exporter.example.yml").read_text("utf-8").splitlines():
        commented = re.fullmatch(r"(\s*)# ?(.*)", line)
        if commented is None:
            lines.append(line)
        elif re.match(r"\s*(- )?[\w.]+:( |$)|\s*- \S", commented[2]):
            lines.append(commented[1] + commented[2])
    return yaml.load("\n".join(lines), yaml.BaseLoader)


def keys(properties: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Every key by its path, with its schema; what ``defaults`` may have is an account's."""
    found = {}
    for key, one in properties.items():
        is_list = one.get("type") == "array" and "$ref" in one["items"]
        here = f"{path}{key}{'[]' * is_list}"
        found[here] = one
        reference = {**one, **one.get("items", {})}.get("$ref", "").rpartition("/")[2]
        if reference and here != "defaults":
            found |= keys(SCHEMA["$defs"][reference]["properties"], f"{here}.")
    return found


KEYS = keys(SCHEMA["properties"])


def shown(path: str) -> Any:
    value = example()
    for key in path.split("."):
        value = value[key.removesuffix("[]")]
        value = value[0] if key.endswith("[]") else value
    return value


@pytest.mark.parametrize(
    "path",
    [one for one in KEYS if one not in ELSEWHERE and not one.startswith("accounts[].flags.")],
)
def test_the_example_has_every_key_with_its_default(path: str) -> None:
    value, default = shown(path), KEYS[path].get("default")
    assert value is not None
    if default not in {None, ""} and path not in EXAMPLES:
        assert value == (str(default).lower() if isinstance(default, bool) else str(default))
