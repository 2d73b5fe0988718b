"""Rows are found by their shape, whatever stands around them and however the answer numbers it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cabinet.answers import BOOLEAN, LONG, ROW, Answer, listing, phone, ref, start_list
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.rows import read_page, read_trunks
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.gwt import Response, decode, encode_long

WIRE = Path(__file__).parents[1] / "wire"
LISTS = sorted(
    path.stem for path in WIRE.glob("list_*.json") if json.loads(path.read_text())["rows"]
)
# The truth of a server that shares its Booleans gives no digits of the rows, only their flags.
WITH_DIGITS = [name for name in LISTS if name != "list_shared_boolean"]


def truth(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", LISTS)
def test_every_capture_gives_the_rows_of_its_truth(name: str) -> None:
    expected = truth(name)
    page = read_page(decode((WIRE / f"{name}.txt").read_bytes()))
    trunks, _ = read_trunks([page], FlagPositions())
    assert [
        (t.ref, t.id, t.phone, t.name, t.flags.active, t.flags.bound, t.flags.marked_for_deletion)
        for t in trunks
    ] == [
        (
            row["id_b64"],
            int(row["id"]),
            row["phone"],
            row["name"],
            *(str(row[flag]) == "True" for flag in ("active", "bound", "marked")),
        )
        for row in expected["rows"]
    ]
    assert page.declared == expected["row_count"]
    assert page.total == expected["total"]


@pytest.mark.parametrize("name", WITH_DIGITS)
def test_a_pattern_is_the_row_core_at_the_varying_positions(name: str) -> None:
    expected: Counter[str] = Counter()
    for row in truth(name)["rows"]:
        values = row["core"].split(",")
        expected["".join(values[position] for position in (4, 6, 7, 9))] += 1
    trunks, _ = read_trunks(
        [read_page(decode((WIRE / f"{name}.txt").read_bytes()))], FlagPositions()
    )
    assert Counter(trunk.pattern for trunk in trunks) == expected
    assert {trunk.pattern for trunk in trunks if trunk.known} <= {"1100", "0011"}


def test_an_empty_page_has_no_rows_and_still_tells_the_total() -> None:
    page = read_page(decode((WIRE / "list_empty.txt").read_bytes()))
    assert (page.records, page.declared, page.total) == ((), 0, 237)


def begin_with_rows_elsewhere(*, empty_first: bool, boxed: bool = True) -> Answer:
    """An empty list, and rows in something that is not known to be a list."""
    answer = Answer(share_booleans=not boxed)
    answer.begin("ru.example.Response/1")
    if not boxed:
        answer.boolean(1)
    if empty_first:
        answer.begin("java.util.ArrayList/4159755760")
        answer.plain(0)
    answer.begin("ru.example.PageList/77")
    answer.plain(2)
    for number in range(2):
        answer.row(number)
    if not empty_first:
        answer.begin("java.util.ArrayList/4159755760")
        answer.plain(0)
    return answer


@pytest.mark.parametrize("empty_first", [True, False])
@pytest.mark.parametrize("boxed", [True, False])
def test_an_empty_list_is_not_believed_where_rows_stand_elsewhere(
    empty_first: bool, boxed: bool
) -> None:
    answer = begin_with_rows_elsewhere(empty_first=empty_first, boxed=boxed)
    with pytest.raises(UndecodableError, match="rows in the answer outside of any list"):
        read_page(answer.response())


def test_a_list_that_leaves_a_row_out_is_not_the_one_to_take() -> None:
    # The header's number 2 is the index of the list's class, and 3, the length, that of the row's:
    # a list of two rows lines up as well as that of three.
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.plain(2)
    answer.begin("java.util.ArrayList/4159755760")
    answer.plain(3)
    for number in range(3):
        answer.row(number)
    page = read_page(answer.response())
    assert [record.ref for record in page.records] == [ref(number) for number in range(3)]


@pytest.mark.parametrize("name", ["getform31", "getform32", "setenabled", "ex_application"])
def test_an_answer_without_a_list_of_subscribers_is_refused(name: str) -> None:
    with pytest.raises(UndecodableError):
        read_page(decode((WIRE / f"{name}.txt").read_bytes()))


def test_pages_are_read_together() -> None:
    pages = [
        read_page(decode((WIRE / f"{name}.txt").read_bytes()))
        for name in ("list_page100", "list_last_short", "list_empty")
    ]
    trunks, _ = read_trunks(pages, FlagPositions())
    rows = truth("list_page100")["rows"] + truth("list_last_short")["rows"]
    assert [trunk.phone for trunk in trunks] == [row["phone"] for row in rows]
    assert [trunk.name for trunk in trunks] == [row["name"] for row in rows]


def test_positions_of_the_flags_are_configurable() -> None:
    answer = listing(2)
    for number, pattern in enumerate(("1010", "0101")):
        answer.row(number, pattern)
    page = read_page(answer.response())
    trunks, _ = read_trunks([page], FlagPositions(active=9, bound=7, marked_for_deletion=6))
    assert [(t.flags.active, t.flags.bound, t.flags.marked_for_deletion) for t in trunks] == [
        (False, True, False),
        (True, False, True),
    ]


def test_a_value_outside_the_varying_positions_shows_in_the_pattern() -> None:
    answer = listing(3)
    for number in range(3):
        answer.row(number, eight=int(number == 1))
    trunks, warnings = read_trunks([read_page(answer.response())], FlagPositions())
    assert [(t.pattern, t.known) for t in trunks] == [
        ("1100", True),
        ("1100+8=1", False),
        ("1100", True),
    ]
    assert any("1100+8=1 (1)" in warning for warning in warnings)


def test_a_boxed_flag_that_is_null_is_not_set_and_not_known() -> None:
    answer = listing(3)
    for number, pattern in enumerate(("1100", "-100", "0011")):
        answer.row(number, pattern)
    trunks, _ = read_trunks([read_page(answer.response())], FlagPositions())
    assert [(t.pattern, t.flags.active, t.known) for t in trunks] == [
        ("1100", True, True),
        ("-100", False, False),
        ("0011", False, True),
    ]


ROWS = st.lists(
    st.tuples(st.sampled_from(["1100", "0011", "1000", "0101", "1110", "-100"]), st.booleans()),
    min_size=2,
    max_size=12,
)
EXTRAS = st.lists(
    st.sampled_from(
        [
            "note",
            "number",
            "shared number",
            "enum",
            "date",
            "boolean",
            "boxed int",
            "any",
            "long",
            "tags",
        ]
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(
    rows=ROWS,
    before=EXTRAS,
    after=EXTRAS,
    shared=st.booleans(),
    phone_first=st.booleans(),
    header=st.sampled_from(["plain", "boolean first", "strings first"]),
)
def test_rows_are_read_whatever_columns_stand_around_them(
    rows: list[tuple[str, bool]],
    before: list[str],
    after: list[str],
    shared: bool,
    phone_first: bool,
    header: str,
) -> None:
    answer = Answer(share_booleans=shared)
    answer.begin("ru.example.Response/1")
    if header == "boolean first":
        answer.boolean(1)
        answer.boolean(0)
    if header == "strings first":
        for number in range(9):
            answer.text(f"текст {number}")
    answer.boxed(LONG, "CbwhyN")
    answer.begin("java.util.ArrayList/4159755760")
    answer.plain(len(rows))
    for number, (pattern, noted) in enumerate(rows):
        answer.begin(ROW)
        for column, extra in enumerate(before):
            write_extra(answer, extra, number, column, noted=noted)
        texts = [phone(number), f"Иванов Пётр {'АБВГДЕЖЗИКЛМ'[number]}."]
        if not phone_first:
            texts.reverse()
        answer.text(texts[0])
        answer.core(ref(number), pattern)
        answer.text(texts[1])
        for column, extra in enumerate(after):
            write_extra(answer, extra, number, column + 50, noted=noted)
    answer.plain(len(rows) + 400)
    page = read_page(answer.response())
    trunks, _ = read_trunks([page], FlagPositions())
    assert [(t.ref, t.phone, t.pattern) for t in trunks] == [
        (ref(number), phone(number), pattern) for number, (pattern, _) in enumerate(rows)
    ]
    assert page.total == len(rows) + 400


def write_extra(answer: Answer, extra: str, number: int, column: int, *, noted: bool) -> None:
    """One more field of a record, the same kind in every row."""
    # A field of a general type holds now this, now that.
    extra = {"any": ("date", "boxed int")[number % 2]}.get(extra, extra)
    if extra == "note":
        answer.text(f"заметка {number} {column}" if noted else None)
    elif extra == "number":
        answer.plain(1000 + 17 * number)
    elif extra == "shared number":
        answer.plain(900)
    elif extra == "enum":
        answer.boxed("ru.example.State/3", (number + column) % 3, shared=True)
    elif extra == "date":
        answer.boxed("java.util.Date/3385151746", encode_long(1_700_000_000_000 + number))
    elif extra == "boolean":
        answer.boolean(None if number % 3 == 2 else int(noted))
    elif extra == "boxed int":
        answer.boxed("java.lang.Integer/3438268394", number)
    elif extra == "long":
        answer.plain(encode_long(number))
    elif extra == "tags":
        answer.begin("java.util.ArrayList/4159755760")
        answer.plain(number % 3)
        for tag in range(number % 3):
            answer.boxed("java.lang.String/2004016611", answer.index(f"метка {tag} {column}"))


def test_a_number_that_looks_like_a_class_does_not_hide_the_rows() -> None:
    # The primitive before the row is 2, as is the index of java.lang.Long, and a long follows it.
    answer = listing(3)
    for number in range(3):
        answer.begin(ROW)
        answer.text(phone(number))
        answer.plain(2 if number == 0 else 700 + number, encode_long(5 + number))
        answer.core(ref(number), "1100")
    trunks, _ = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.phone for trunk in trunks] == [phone(number) for number in range(3)]


@pytest.mark.parametrize("first", [BOOLEAN, LONG, "java.util.Date/3385151746"])
def test_any_class_may_be_the_first_of_the_string_table(first: str) -> None:
    answer = Answer()
    answer.table.append(first)
    start_list(answer, 4)
    for number, pattern in enumerate(("1100", "0011", "1000", "0101")):
        answer.row(number, pattern)
        answer.boxed("java.util.Date/3385151746", encode_long(number))
    trunks, _ = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.pattern for trunk in trunks] == ["1100", "0011", "1000", "0101"]


def test_a_class_of_several_fields_in_a_row_is_stepped_over() -> None:
    answer = listing(4)
    for number in range(4):
        answer.begin(ROW)
        if number == 1:
            answer.plain(0)  # null
        else:
            answer.begin("ru.example.Tariff/9")
            answer.plain(5, encode_long(number), 7)
        answer.text(phone(number))
        answer.core(ref(number), "1100")
    trunks, _ = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.ref for trunk in trunks] == [ref(number) for number in range(4)]


def test_a_reference_to_no_boolean_is_refused_rather_than_guessed() -> None:
    answer = listing(3)
    for number in range(3):
        answer.row(number)
    response = answer.response()
    tokens = list(response.tokens)
    boolean = response.string_table.index(BOOLEAN) + 1
    # Wire order: the flag's value, then its class. The first row in the text is the list's last.
    at = tokens.index(boolean)
    tokens[at - 1 : at + 1] = [-99]
    with pytest.raises(UndecodableError, match="row 3, column 9: -99 refers to no object"):
        read_page(Response("OK", 7, 0, response.string_table, tokens))


def test_a_list_that_declares_more_rows_than_it_holds_is_refused() -> None:
    answer = Answer()
    start_list(answer, 4)
    for number in range(3):
        answer.row(number)
    with pytest.raises(UndecodableError):
        read_page(answer.response())


def test_without_a_phone_column_trunks_are_exported_with_a_warning() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.text(f"линия {number}")
        answer.core(ref(number), "1100")
    trunks, warnings = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.phone for trunk in trunks] == ["", ""]
    assert warnings == ("no column of the list can be told to be the phone: 2 trunks have none",)


def test_two_columns_of_different_phones_are_not_guessed_between() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.text(phone(number))
        answer.text(phone(number + 50))
        answer.core(ref(number), "1100")
    trunks, warnings = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.phone for trunk in trunks] == ["", ""]
    assert len(warnings) == 1


def test_a_row_without_a_phone_stays_among_the_trunks() -> None:
    answer = listing(3)
    for number in range(3):
        answer.begin(ROW)
        answer.text(phone(number) if number else None)
        answer.core(ref(number), "1100")
    trunks, warnings = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.phone for trunk in trunks] == ["", phone(1), phone(2)]
    assert warnings == ("1 of 3 trunks show no phone",)


TOKENS = st.lists(
    st.one_of(st.integers(-20, 20), st.sampled_from(["CaLztv", "A"]), st.floats(0, 9)), max_size=80
)
STRINGS = st.lists(
    st.sampled_from(
        [BOOLEAN, LONG, "java.util.ArrayList/1", "ru.example.Row/2", "[Lru.example.Row;/3", "x"]
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(tokens=TOKENS, strings=STRINGS)
def test_any_tokens_give_a_page_or_one_error(
    tokens: list[int | float | str], strings: list[str]
) -> None:
    try:
        page = read_page(Response("OK", 7, 0, strings, tokens))
        read_trunks([page], FlagPositions())
    except UndecodableError:
        pass


def test_an_answer_made_to_be_ambiguous_is_given_up_in_linear_time() -> None:
    # Each token could begin a list of as many elements as there are tokens.
    strings = ["java.util.ArrayList/1"] * 2 + ["ru.example.Row/2"]
    tokens: list[int | float | str] = [1, 3] * 20_000
    with pytest.raises(UndecodableError):
        read_page(Response("OK", 7, 0, strings, tokens))
