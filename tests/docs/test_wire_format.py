"""The examples of docs/wire-format.md are what Google's code wrote and read, token by token."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from vats_exporter import gwt

ROOT = Path(__file__).parents[2]
WIRE = ROOT / "tests" / "wire"
PAGE = (ROOT / "docs" / "wire-format.md").read_text("utf-8")


def section(heading: str) -> str:
    """The text under a heading, up to the next one of the same level."""
    level = heading.partition(" ")[0]
    text = PAGE.partition(f"\n{heading}\n")[2]
    assert text, f"no such heading: {heading}"
    return re.split(rf"^{level} ", text, maxsplit=1, flags=re.MULTILINE)[0]


def block(text: str) -> str:
    return re.findall(r"```\n(.*?)\n```", text, re.DOTALL)[0]  # type: ignore[no-any-return]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables whose first column is code."""
    lines = re.findall(r"^\| (`.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def first_column(text: str) -> list[str]:
    return [cells[0].strip("`") for cells in rows(text)]


def truth(name: str) -> dict[str, Any]:
    return json.loads((WIRE / f"{name}.json").read_text("utf-8"))  # type: ignore[no-any-return]


REQUEST = section("## A request")
EMPTY = section("## An empty page")
THREE = section("## A page with three rows")


def test_the_request_is_one_that_google_s_code_understood() -> None:
    understood = [one for one in truth("requests")["requests"] if "parameters" in one]
    (known,) = [one for one in understood if one["payload"] == block(REQUEST)]
    assert known["method"] == "getForm"
    assert str(known["parameters"][0]) in REQUEST


def test_the_request_s_fields_are_explained_in_their_order() -> None:
    request = gwt.parse_request(block(REQUEST))
    told = first_column(REQUEST)
    assert told == block(REQUEST).split("|")[:-1]
    head = [str(request.version), str(request.flags), str(len(request.strings))]
    assert told == [*head, *request.strings, *request.tokens]


def test_the_request_s_references_name_the_right_strings() -> None:
    for token, meaning in rows(REQUEST)[9:]:
        for number in re.findall(r"string (\d+)", meaning):
            assert token == f"`{number}`", meaning
    assert gwt.decode_long("CaLztv") == 2586786671


def test_the_empty_page_is_the_capture() -> None:
    assert block(EMPTY) == (WIRE / "list_empty.txt").read_text("utf-8").strip()


def test_the_empty_page_s_values_are_explained_in_their_order() -> None:
    known = truth("list_empty")
    version, flags, table, *values = first_column(EMPTY)
    assert (int(version), int(flags)) == (known["version"], known["flags"])
    assert table.startswith('["ru.cti')
    assert values == tokens(known)


def test_the_empty_page_s_long_is_worked_out_right() -> None:
    (told,) = re.findall(r"'CbwhyN'` \| its value: (\d+)", EMPTY)
    assert int(told) == gwt.decode_long("CbwhyN")
    (worked,) = re.findall(r"^(\(+.*) = (\d+)\.$", EMPTY, re.MULTILINE)
    digits = [int(one) for one in re.findall(r"\d+", worked[0]) if one != "64"]
    total = 0
    for digit in digits:
        total = total * 64 + digit
    assert total == int(worked[1]) == int(told)


def tokens(known: dict[str, Any]) -> list[str]:
    """A capture's tokens in reading order, as they stand in the text."""
    wire = [f"'{one}'" if isinstance(one, str) else str(one) for one in known["tokens_wire_order"]]
    return wire[::-1]


def test_the_page_of_three_is_the_capture() -> None:
    assert block(THREE) == (WIRE / "list_page3.txt").read_text("utf-8").strip()


def test_every_token_of_the_page_of_three_is_explained_in_its_order() -> None:
    assert first_column(THREE) == tokens(truth("list_page3"))


def test_the_strings_that_tokens_refer_to_are_those_of_the_table() -> None:
    table = truth("list_page3")["string_table"]
    referring = [cells for cells in rows(THREE) if cells[-1].startswith("string ")]
    assert len(referring) == 29
    for token, *_, meaning in referring:
        number, name = re.findall(r"^string (\d+), `(.*?)`", meaning)[0]
        assert token == f"`{number}`"
        string = table[int(number) - 1]
        assert re.fullmatch(rf"(?:[\w.]+\.)?{re.escape(name)}(?:/\d+)?", string), string


def test_the_objects_are_numbered_and_the_back_reference_means_the_enum() -> None:
    table = truth("list_page3")["string_table"]
    objects: dict[int, str] = {}
    back = 0
    for token, *cells, meaning in rows(THREE):
        if cells and cells[-1]:
            objects[int(cells[-1])] = table[int(token.strip("`")) - 1]
        if token.startswith("`-"):
            (number,) = re.findall(r"back reference to object (\d+)", meaning)
            assert token == f"`-{number}`"
            assert objects[int(number)].startswith("ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE")
            back += 1
    assert list(objects) == list(range(1, 17))
    assert back == 2
    # Each token that names a class, and no other, makes an object.
    assert [one for one in objects.values() if "/" not in one] == []


def test_the_twelve_values_are_numbered_and_read_as_the_truth_says() -> None:
    known = truth("list_page3")["rows"]
    parts = [
        section(f"### Row {number}: {what}")
        for number, what in enumerate(
            ("a working trunk", "switched off and marked for deletion", "active, not bound"), 1
        )
    ]
    for row, part in zip(known, parts, strict=True):
        cells = rows(part)
        positions = [(int(cell[1]), cell[0].strip("`")) for cell in cells if cell[1]]
        assert [number for number, _ in positions] == list(range(12, 0, -1))
        core = ",".join([f"'{row['id_b64']}'", *(value for _, value in positions[::-1])])
        assert core == row["core"]
        told = dict(re.findall(r"`(\w+)`: (yes|no)", part))
        flags = {"active": "active", "bound": "bound", "marked_for_deletion": "marked"}
        assert told == {flag: "yes" if row[key] else "no" for flag, key in flags.items()}
        assert f"reference: {row['id']}" in part
        assert f"`{row['name']}`: the name" in part
        assert f"`{row['phone']}`: the phone" in part
        values = dict(positions)
        assert f"`{''.join(values[position] for position in (4, 6, 7, 9))}`" in part


def test_the_longs_around_the_rows_are_worked_out_right() -> None:
    told = re.findall(r"^\| `'(\S+)'` .*: (\d+)(?:, the enterprise)? \|$", THREE, re.MULTILINE)
    assert len(told) == 10
    assert [int(value) for _, value in told] == [gwt.decode_long(text) for text, _ in told]


def test_the_total_is_the_truth_s() -> None:
    assert rows(section("### After the rows"))[0][0] == f"`{truth('list_page3')['total']}`"
