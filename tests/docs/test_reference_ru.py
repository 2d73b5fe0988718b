"""The Russian reference is what the program itself says, with a Russian text for each part."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import load_script
from vats_exporter.cabinet.errors import RESULTS
from vats_exporter.metrics.table import METRICS
from vats_exporter.trunks import FLAGS, ROW_FLAGS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def build() -> Any:
    return load_script(DOCS / "build_reference_ru.py")


def test_what_is_written_is_what_the_program_says(build: Any) -> None:
    written = {file.name: file.read_text("utf-8") for file in (DOCS / "reference").glob("*.ru.md")}
    assert written == build.render(), "stale: `make reference`"


def test_each_key_has_a_text_and_each_text_a_key(build: Any) -> None:
    texts = {
        path: set(section.get("keys", ()))
        for path, section in build.TEXTS["configuration"]["sections"].items()
    }
    keys = {path: set(properties) for path, properties in build.sections().items()}
    # What `defaults` may have is told of an account.
    assert texts.pop("defaults") == set()
    assert keys.pop("defaults") <= keys["accounts[]"]
    assert texts.pop("flags") == set()  # their texts are in the table of flags
    assert keys.pop("flags") == {flag.key for flag in ROW_FLAGS}
    assert texts == keys


def test_each_metric_label_and_result_has_a_text_and_each_text_one_of_them(build: Any) -> None:
    texts = build.TEXTS["metrics"]
    flags = {flag.metric for flag in FLAGS}  # their texts are in the table of flags
    assert list(texts["names"]) == [one.name for one in METRICS if one.name not in flags]
    assert set(texts["scopes"]) == {metric.scope for metric in METRICS}
    assert set(texts["labels"]) == {label for metric in METRICS for label in metric.labels}
    assert list(texts["results"]) == list(RESULTS)


def test_each_text_is_russian(build: Any) -> None:
    sections = build.TEXTS["configuration"]["sections"].values()
    texts = [text for section in sections for text in section.get("keys", {}).values()]
    texts += build.TEXTS["metrics"]["names"].values()
    assert [text for text in texts if not re.search("[а-яё].*[.]$", text)] == []
