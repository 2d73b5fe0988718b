"""YAML without its surprises: texts as they are written, each with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vats_exporter.config.models import Config
from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.config.yaml_file import Document, Plain

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> Document:
    file = folder / "file.yml"
    file.write_text(text, "utf-8")
    return Document(file, Config)


def test_every_scalar_keeps_its_text_and_whether_it_was_quoted(tmp_path: Path) -> None:
    text = "[0123, off, 2024-01-01, 1e3, 'off', \"off\", +79161234567]"
    value = read(tmp_path, text).value
    assert value == ["0123", "off", "2024-01-01", "1e3", "off", "off", "+79161234567"]
    assert [isinstance(one, Plain) for one in value] == [True, True, True, True, False, False, True]


def test_only_an_unquoted_null_is_no_value(tmp_path: Path) -> None:
    value = read(tmp_path, "- ~\n- null\n-\n- 'null'\n- ''\n").value
    assert value == [None, None, None, "null", ""]


def test_every_value_has_the_line_of_its_key(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "y"): 5,
    }


def test_what_is_missing_has_the_line_of_what_it_is_missing_in(tmp_path: Path) -> None:
    document = read(tmp_path, "x: 1\na:\n  b: 1\n")
    assert document.line_of(("a", "missing", "deeper")) == 2
    assert document.line_of(("missing",)) == 1


def test_of_equal_keys_the_first_counts_and_both_lines_are_told(tmp_path: Path) -> None:
    document = read(tmp_path, "log: 1\nb: 2\nlog: 3\n")
    assert document.value == {"log": "1", "b": "2"}
    assert document.problems == [Problem("log", "given twice, on lines 1 and 3", 3)]


@pytest.mark.parametrize("escape", [r"\U00110000", r"\UFFFFFFFF"])
def test_an_escape_that_stands_for_no_character_is_refused(tmp_path: Path, escape: str) -> None:
    with pytest.raises(ConfigError, match="not YAML; check"):
        read(tmp_path, f'a: "{escape}"')


def test_merged_keys_come_after_the_mappings_own(tmp_path: Path) -> None:
    text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nthree: {<<: [*one, *two], a: 3}\n"
    value = read(tmp_path, text).value
    assert isinstance(value, dict)
    assert value["three"] == {"a": "3", "b": "1", "c": "2"}


def test_all_texts_are_given_with_their_places(tmp_path: Path) -> None:
    document = read(tmp_path, "a: [x, {b: y}]\nc: ~\n")
    assert sorted(document.texts) == [(("a", 0), "x"), (("a", 1, "b"), "y")]
