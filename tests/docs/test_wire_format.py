"""The worked example of docs/wire-format.md is a capture, read as the page reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from vats_exporter import gwt

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wire-format.md").read_text("utf-8").partition("## A worked example")[2]
CAPTURE = ROOT / "tests" / "wire" / "list_empty.txt"


def test_the_example_is_the_capture() -> None:
    (block,) = re.findall(r"```\n(.*?)\n```", PAGE, re.DOTALL)
    assert block == CAPTURE.read_text("utf-8").strip()


def test_its_values_are_told_in_their_order() -> None:
    truth = json.loads(CAPTURE.with_suffix(".json").read_text("utf-8"))
    told = re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE)
    version, flags, table, *values = told
    assert (int(version), int(flags)) == (truth["version"], truth["flags"])
    assert table.startswith('["ru.cti')
    wire = [f"'{one}'" if isinstance(one, str) else str(one) for one in truth["tokens_wire_order"]]
    assert values == wire[::-1]


def test_its_long_is_worked_out_right() -> None:
    (told,) = re.findall(r"'CbwhyN'` \| the value of that: (\d+)", PAGE)
    assert int(told) == gwt.decode_long("CbwhyN")
    (worked,) = re.findall(r"^(\(+.*) = (\d+)\.$", PAGE, re.MULTILINE)
    digits = [int(one) for one in re.findall(r"\d+", worked[0]) if one != "64"]
    total = 0
    for digit in digits:
        total = total * 64 + digit
    assert total == int(worked[1]) == int(told)
