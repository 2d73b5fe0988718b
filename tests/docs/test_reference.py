"""The reference is what the program itself says, and the schema takes what the program takes."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.scripts import load_script
from vats_exporter.cabinet.contract import LIST_TAILS
from vats_exporter.config.models import Config
from vats_exporter.metrics.table import METRICS
from vats_exporter.web.settings import WebSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def build() -> Any:
    return load_script(DOCS / "build_reference.py")


def test_what_is_written_is_what_the_program_says() -> None:
    made = build().render()
    written = {
        file.name: file.read_text("utf-8")
        for file in (DOCS / "reference").iterdir()
        if not file.name.endswith(".ru.md")
    }
    assert written == made, "stale: `make reference`"


def test_every_label_has_a_text_and_each_text_a_label() -> None:
    assert set(build().LABELS) == {label for metric in METRICS for label in metric.labels}


def test_every_key_has_a_text_under_it() -> None:
    for model in (Config, WebSettings):
        made = build().schema_of(model)
        for name, definition in {**made["$defs"], model.__name__: made}.items():
            for key, value in definition["properties"].items():
                assert value["description"], f"{name}.{key}"


def test_defaults_are_shown_as_they_are_written_in_the_file() -> None:
    page = (DOCS / "reference" / "configuration.md").read_text("utf-8")
    shown = re.findall(r"^\| `list_tail` \| string \| <code>(.*?)</code> \|", page, re.MULTILINE)
    assert {html.unescape(one) for one in shown} == {LIST_TAILS[0]}
    page = (DOCS / "reference" / "web-configuration.md").read_text("utf-8")
    assert "| `interval` | duration | `0s` |" in page


SCHEMA = json.loads((DOCS / "reference" / "vats-exporter.schema.json").read_text("utf-8"))


def examples() -> dict[str, str]:
    """Configurations in the documentation, by where they stand."""
    found = {"vats-exporter.example.yml": (ROOT / "vats-exporter.example.yml").read_text("utf-8")}
    found["kubernetes"] = (ROOT / "deploy" / "kubernetes" / "vats-exporter.yml").read_text("utf-8")
    for file in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]:
        for number, block in enumerate(
            re.findall(r"```yaml\n(accounts:\n.*?)```", file.read_text("utf-8"), re.DOTALL)
        ):
            found[f"{file.relative_to(ROOT)} {number}"] = block
    return found


@pytest.mark.parametrize("text", examples().values(), ids=examples())
def test_an_editor_takes_the_documented_configurations(text: str) -> None:
    jsonschema.validate(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    "name",
    [
        "account_key_unknown",
        "account_name_missing",
        "accounts_empty",
        "accounts_missing",
        "duration_without_unit",
        "filter_out_of_range",
        "log_level_unknown",
        "page_size_too_great",
        "password_missing",
        "password_and_file",
        "section_unknown",
        "size_without_unit",
        "switch_as_a_word",
        "timeout_unknown",
    ],
)
def test_an_editor_refuses_what_the_program_refuses(name: str) -> None:
    text = (ROOT / "tests" / "config" / "broken" / f"{name}.yml").read_text("utf-8")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), SCHEMA)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
