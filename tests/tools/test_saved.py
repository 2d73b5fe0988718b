"""Saved answers are read in whatever encoding, and the pages of one list together."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cabinet.answers import CORE, RESPONSE, ROW, Answer, listing, phone, ref
from tests.cabinet.layouts import JAVA
from vats_exporter.cabinet.reading import ClassTable
from vats_exporter.gwt import Kind, encode_response
from vats_exporter.tools.saved import read_documents, read_text

SAVED = Path(__file__).parent / "saved"
WIRE = Path(__file__).parents[1] / "wire"

ANSWERS = [file.stem for file in WIRE.glob("*.txt") if file.read_bytes()[:2] == b"//"]
LISTS = [name for name in sorted(ANSWERS) if name.startswith("list_")]
OTHERS = [name for name in sorted(ANSWERS) if not name.startswith("list_")]


def truth(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text("utf-8"))
    return content


def read(file: Path | str) -> dict[str, Any]:
    (document,) = read_documents([str(file)], None)
    return document


@pytest.mark.parametrize("name", LISTS)
def test_the_rows_of_a_list_are_its_truth(name: str) -> None:
    expected = truth(name)["rows"]
    document = read(WIRE / f"{name}.txt")
    assert [(row["trunk"], row["id"], row["phone"], row["name"]) for row in document["rows"]] == [
        (row["id_b64"], row["id"], row["phone"], row["name"] or "") for row in expected
    ]
    flags = ("active", "bound", "marked_for_deletion")
    assert [tuple(row[flag] for flag in flags) for row in document["rows"]] == [
        (row["active"], row["bound"], row["marked"]) for row in expected
    ]
    assert (document["read_by"], document["rows_error"]) == ("block", None)


def test_a_row_shows_its_pattern_and_whether_that_is_documented() -> None:
    # As the cores in list_page3.json have them at positions 4, 6, 7 and 9.
    assert [(row["pattern"], row["known"]) for row in read(WIRE / "list_page3.txt")["rows"]] == [
        ("1100", True),
        ("0011", True),
        ("1000", False),
    ]


@pytest.mark.parametrize("name", OTHERS)
def test_an_answer_that_is_no_list_has_no_rows(name: str) -> None:
    document = read(WIRE / f"{name}.txt")
    assert document["rows"] == []
    if name != "getform31_nodevice":  # which holds an empty list, of something
        why = "the answer is an exception", "no list of rows in the answer"
        assert document["read_by"] is None
        assert document["rows_error"] == why[not name.startswith("ex_")]


@pytest.mark.parametrize("name", ["bom", "u16", "lead"])
def test_an_answer_that_a_browser_or_an_editor_saved_otherwise_is_the_same(
    tmp_path: Path, name: str
) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b'//OK[1,["x"],0,7]')
    assert read(SAVED / f"{name}.txt") == read(plain)


@pytest.mark.parametrize(
    ("before", "encoding", "after"),
    [
        ("", "utf-8-sig", "\r\n"),
        ("", "utf-16", ""),
        ("\ufeff", "utf-16-be", "\r\n"),
        ("", "utf-16-le", ""),
        (" \r\n\r\n", "utf-8", "\n\n"),
        ("\n", "utf-16", "\n"),
    ],
)
@pytest.mark.parametrize("name", ["list_page3", "list_escapes_dq"])
def test_a_list_in_any_encoding_has_the_same_rows(
    tmp_path: Path, name: str, before: str, encoding: str, after: str
) -> None:
    text = (WIRE / f"{name}.txt").read_text(encoding="utf-8")
    file = tmp_path / "saved"
    file.write_bytes(f"{before}{text}{after}".encode(encoding))
    assert read(file) == read(WIRE / f"{name}.txt")


def test_a_text_cut_within_a_character_says_where(tmp_path: Path) -> None:
    file = tmp_path / "saved"
    file.write_bytes("//OK[]".encode("utf-16")[:-1])
    assert read(file)["error"] == "not UTF-16 at byte 12"


def save(folder: Path, name: str, answer: Answer) -> str:
    (folder / name).write_text(encode_response(answer.response()), encoding="utf-8")
    return str(folder / name)


def two_columns(*phones: tuple[int, int | None]) -> Answer:
    """A page of rows with two columns of phones."""
    answer = listing(len(phones))
    for one, other in phones:
        answer.begin(ROW)
        answer.text(phone(one))
        answer.text(None if other is None else phone(other))
        answer.core(ref(one), "1100")
    return answer


@pytest.fixture
def table() -> ClassTable:
    """The classes of :func:`two_columns`."""
    kinds = {kind.value[0]: kind for kind in Kind}
    fields = {
        RESPONSE: (Kind.OBJECT, Kind.OBJECT),
        ROW: tuple(kinds[letter] for letter in "ss" + CORE),
    }
    return ClassTable({**JAVA, **fields})


def test_which_column_is_the_phones_is_told_over_all_pages(
    tmp_path: Path, table: ClassTable
) -> None:
    few = save(tmp_path, "few", two_columns((1, 101), (2, 102)))
    many = save(tmp_path, "many", two_columns(*((number, None) for number in range(3, 9))))
    (alone,) = read_documents([few], table)
    assert [row["phone"] for row in alone["rows"]] == ["", ""]
    # The same page once more has no other rows, and does not make the phones come twice.
    together, _, again = read_documents([few, many, few], table)
    assert [row["phone"] for row in together["rows"]] == [phone(1), phone(2)]
    assert again["rows"] == alone["rows"]


def test_where_script_and_block_differ_there_are_no_rows(tmp_path: Path, table: ClassTable) -> None:
    # A row that comes twice is one block less.
    answer = listing(3)
    for number in (0, 1):
        answer.row(number)
        if number == 0:
            answer.plain(0)
    answer.plain(-4)
    (document,) = read_documents([save(tmp_path, "page", answer)], table)
    assert document["rows_error"] is not None


def test_a_reference_that_is_no_number_leaves_the_other_pages_their_rows(tmp_path: Path) -> None:
    odd = listing(1)
    odd.begin(ROW)
    odd.text(phone(1))
    odd.core("ZZZZZZZZZZZZ", "1100")
    good = listing(2)
    good.rows(2)
    first, second = read_documents([save(tmp_path, "1", odd), save(tmp_path, "2", good)], None)
    assert first["rows_error"].startswith("a row's reference is not a number")
    assert (first["rows"], first["read_by"], len(second["rows"])) == ([], None, 2)


def test_a_text_is_read_in_the_encodings_of_editors(tmp_path: Path) -> None:
    file = tmp_path / "text"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        file.write_text("79161234567  # касса\n", encoding)
        assert read_text(str(file)) == "79161234567  # касса"
    file.write_text("касса", "cp1251")
    with pytest.raises(ValueError, match="not UTF-8 at byte 0"):
        read_text(str(file))


def test_a_recording_of_many_answers_is_read_and_what_is_longer_is_told(tmp_path: Path) -> None:
    file = tmp_path / "visit.har"
    file.write_text('{"log": ')
    os.truncate(file, 1 << 28)  # with a hole, which takes no room
    assert len(read_text(str(file))) == 1 << 28
    os.truncate(file, (1 << 28) + 1)
    with pytest.raises(ValueError, match="longer than 268435456 bytes"):
        read_text(str(file))
