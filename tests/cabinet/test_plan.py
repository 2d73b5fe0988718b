"""The script's classes tell which objects are rows, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cabinet.answers import CORE, RESPONSE, ROW, Answer, listing, phone, ref, table
from tests.cabinet.layouts import BOOLEAN, DATE, INTEGER, LIST, LONG, MAP, STRING
from vats_exporter.cabinet.columns import read_trunks
from vats_exporter.cabinet.errors import TableError, UndecodableError
from vats_exporter.cabinet.plan import Table, read_by_script
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.gwt import letters

if TYPE_CHECKING:
    from vats_exporter.cabinet.page import Page

TAG = "ru.example.Tag/9"
STATE = "ru.example.State/3"


def read(answer: Answer, told: Table) -> Page | None:
    response = answer.response()
    return read_by_script(response, told, letters(response.tokens, len(response.string_table)))


def patterns(page: Page | None) -> list[str]:
    assert page is not None
    return [record.pattern for record in page.records]


def refused(answer: Answer, told: Table) -> str:
    with pytest.raises(UndecodableError) as caught:
        read(answer, told)
    return str(caught.value)


def core(answer: Answer, number: int, *at_5_and_4: int) -> None:
    """A row's block with anything at 5 and 4."""
    answer.plain(0, 0, 0, 0, 0, 0, 1, *at_5_and_4, 0, 0)
    answer.boxed(LONG, ref(number))


@pytest.mark.parametrize(
    ("row", "at_5"),
    [("bbbbbbb" + "nb" + "bbo", 8), ("nnnnnnn" + "nb" + "nno", 30), ("bbbbbbb" + "sb" + "bbo", 0)],
)
def test_the_flag_may_be_a_primitive_behind_a_constant(row: str, at_5: int) -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        core(answer, number, at_5 or answer.index("the same"), number)
    assert patterns(read(answer, table(row=row))) == ["0100", "1100"]


@pytest.mark.parametrize("signature", [BOOLEAN, INTEGER, STATE, TAG])
@pytest.mark.parametrize("shared", [False, True])
def test_the_flag_may_be_any_object_of_one_value(signature: str, shared: bool) -> None:
    answer = listing(4)
    for number in range(4):
        answer.begin(ROW)
        answer.plain(0, 0, 0, 0, 0, 0, 1)
        answer.boxed(signature, number % 2, shared=shared)
        answer.plain(0, 0)
        answer.boxed(LONG, ref(number))
    told = table(row=CORE, **{STATE: "e", TAG: "n"})
    assert patterns(read(answer, told)) == ["0100", "1100"] * 2


def test_a_flag_that_is_null_is_not_set() -> None:
    answer = listing(2)
    answer.row(0, "-100")
    answer.row(1, "-000")
    assert patterns(read(answer, table())) == ["-100", "-000"]


def test_a_flags_place_may_hold_a_text_or_an_object_that_is_null() -> None:
    answer = listing(2)
    answer.rows(2)
    assert patterns(read(answer, table(row="s" + "bsobbbb" + "o" + "so" + "o"))) == ["1100"] * 2


def test_a_text_in_a_flags_place_shows_as_1_and_never_as_its_number() -> None:
    answer = listing(3)
    for number in range(3):
        answer.begin(ROW)
        answer.plain(0, 0, 0, 0, answer.index("x") if number == 1 else 0, 0, 1)
        answer.boolean(1)
        answer.plain(0, 0)
        answer.boxed(LONG, ref(number))
    page = read(answer, table(row="bbbbsbb" + "obbo"))
    assert patterns(page) == ["1100", "1100+8=1", "1100"]


def test_an_id_may_be_the_same_object_as_another_field() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.boxed(LONG, ref(number))
        answer.plain(0, 0, 0, 0, 0, 0, 1)
        answer.boolean(1)
        answer.plain(0, 0, -5 - 3 * number)
    page = read(answer, table(row="o" + CORE))
    assert page is not None
    assert [record.ref for record in page.records] == [ref(0), ref(1)]


def test_a_block_in_an_object_within_a_record_is_not_the_records() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.begin(TAG)
        answer.core(ref(number + 50), "0000")
        answer.core(ref(number), "1100")
    page = read(answer, table(row="o" + CORE, **{TAG: CORE}))
    assert page is not None
    assert [record.ref for record in page.records] == [ref(0), ref(1)]


def test_a_class_with_two_blocks_is_refused() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.core(ref(number), "1100")
        answer.core(ref(number + 50), "1100")
    assert refused(answer, table(row=CORE + CORE)) == (
        f"{ROW} holds 2 blocks: which is a row's is not known"
    )


def test_of_two_blocks_the_one_that_holds_flags_is_the_rows() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.core(ref(number), "1100")
        answer.plain(7, 8, 9, 7, 8, 9, 7)
        answer.boolean(1)
        answer.plain(0, 0)
        answer.boxed(LONG, ref(number + 50))
    page = read(answer, table(row=CORE + "nnnnnnn" + "obbo"))
    assert page is not None
    assert [record.ref for record in page.records] == [ref(0), ref(1)]


def test_two_lists_of_rows_are_refused() -> None:
    answer = listing(2)
    answer.rows(2)
    answer.begin(LIST)
    answer.plain(1, -4)
    assert refused(answer, table("ooo")) == "2 lists of rows: which one is not known"


def test_a_list_of_rows_within_another_list_is_refused() -> None:
    answer = listing(1)
    answer.begin(TAG)
    answer.begin(LIST)
    answer.plain(1)
    answer.row(0)
    assert "within the records of another list" in refused(answer, table(**{TAG: "o"}))


@pytest.mark.parametrize("flaw", ["null", "another class", "no id"])
def test_a_list_with_something_that_is_no_row_is_refused(flaw: str) -> None:
    answer = listing(3)
    answer.rows(2)
    if flaw == "null":
        answer.plain(0)
    elif flaw == "another class":
        answer.boxed(STATE, 1)
    else:
        answer.begin(ROW)
        answer.plain(0, *[0] * 10, 0)
    assert refused(answer, table(**{STATE: "e"})) == "2 of 3 records hold a row"


def test_records_that_hold_other_values_than_flags_are_refused() -> None:
    answer = listing(2)
    answer.row(0, eight=7)
    answer.row(1, eight=8)
    told = table(row="s" + "nnnnnnn" + "obbo")
    assert refused(answer, told) == "the records of a list hold other values than flags"


def test_rows_of_an_extended_class_stand_among_the_others() -> None:
    special = "ru.example.SpecialRow/5"
    answer = listing(2)
    answer.row(0)
    answer.begin(special)
    answer.text("own")
    answer.text(phone(1))
    answer.core(ref(1), "0011")
    page = read(answer, table(**{special: "ss" + CORE}))
    assert page is not None
    trunks, _ = read_trunks([page], FlagPositions())
    assert [(trunk.pattern, trunk.phone) for trunk in trunks] == [
        ("1100", phone(0)),
        ("0011", phone(1)),
    ]


@pytest.mark.parametrize(
    "container", [LIST, "java.util.Arrays$ArrayList/1", "[Lru.example.Row;/2", "a map's value"]
)
def test_the_list_may_be_any_that_holds_objects(container: str) -> None:
    answer = Answer()
    answer.begin(RESPONSE)
    if container == "a map's value":
        answer.begin(MAP)
        answer.plain(1)
        answer.boxed(STRING, answer.index("rows"))
    elif "Arrays" in container:
        answer.begin(container)
    answer.begin(LIST if "[L" not in container else container)
    answer.plain(1)
    answer.row(0)
    response = answer.response()
    classes = {"java.util.Arrays$ArrayList/1": "o"}
    told = table("o", **classes)
    if container == "a map's value":
        assert "within the records of another list" in refused(answer, told)
    elif "[L" not in container:
        assert patterns(read(answer, told)) == ["1100"]
    assert response.tokens


@pytest.mark.parametrize(
    ("list_class", "fields"), [(LIST, None), ("java.util.Collections$EmptyList/1", "")]
)
def test_an_empty_list_is_a_page_without_rows(list_class: str, fields: str | None) -> None:
    answer = Answer()
    answer.begin(RESPONSE)
    answer.boxed(LONG, "CbwhyN")
    answer.begin(list_class)
    if fields is None:
        answer.plain(0)
    answer.plain(237)
    page = read(answer, table("oon", **({} if fields is None else {list_class: fields})))
    assert page is not None
    assert (page.records, page.declared, page.total, page.read_by) == ((), 0, 237, "script")


def test_an_answer_without_a_list_has_no_page() -> None:
    answer = Answer()
    answer.begin(RESPONSE)
    answer.boxed(DATE, "Yz")
    assert read(answer, table("o")) is None


def test_an_empty_list_within_a_record_is_not_the_list() -> None:
    answer = listing(1)
    answer.begin(TAG)
    answer.begin(LIST)
    answer.plain(0)
    assert read(answer, table(**{TAG: "o"})) is None


def test_the_total_is_a_number_beside_the_list_or_around_it() -> None:
    answer = Answer()
    answer.begin(RESPONSE)
    answer.plain(1)
    answer.begin(TAG)
    answer.begin(LIST)
    answer.plain(2)
    answer.rows(2)
    answer.plain(237)
    page = read(answer, table("bo", **{TAG: "on"}))
    assert page is not None
    assert page.total == 237


def test_a_table_that_reads_javas_own_classes_wrong_is_not_believed() -> None:
    answer = listing(1)
    answer.rows(1)
    with pytest.raises(TableError, match=r"java\.lang\.Long"):
        read(answer, table(**{LONG: "s"}))
