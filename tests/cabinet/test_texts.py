"""By the rows' blocks alone: which texts are a row's phone and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cabinet.answers import ROW, Answer, listing, phone, ref
from tests.cabinet.layouts import LIST
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import read_page
from vats_exporter.cabinet.settings import FlagPositions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.cabinet.reading import Page

NAMES = ["Иванов Пётр", "Ли Анна", "Ким Ольга"]


def listed(*columns: Sequence[str | None], after: Sequence[str | None] = ()) -> Page:
    """A list whose records are these strings, then the row's values, then one more string."""
    answer = listing(len(columns[0]))
    for number, row in enumerate(zip(*columns, strict=True)):
        answer.begin(ROW)
        for text in row:
            answer.text(text)
        answer.core(ref(number), "1100")
        if after:
            answer.text(after[number])
    return read_page(answer.response())


def phones(page: Page) -> list[str]:
    return [trunk.phone for trunk in make_trunks([page], FlagPositions())[0]]


def names(*pages: Page) -> list[str]:
    return [trunk.name for trunk in make_trunks(pages, FlagPositions())[0]]


PHONES = [phone(number) for number in range(3)]


def test_a_phone_before_or_behind_the_block_is_the_rows() -> None:
    assert phones(listed(PHONES)) == PHONES
    assert phones(listed(NAMES, after=PHONES)) == PHONES


def test_a_row_without_a_phone_has_none() -> None:
    assert phones(listed([PHONES[0], None, PHONES[2]])) == [PHONES[0], "", PHONES[2]]


def test_where_two_columns_of_phones_are_possible_none_is_taken() -> None:
    others = [phone(number + 50) for number in range(3)]
    assert phones(listed(PHONES, others)) == ["", "", ""]
    assert phones(listed(PHONES, after=others)) == ["", "", ""]
    assert phones(listed(PHONES, [None, None, others[2]])) == ["", "", ""]


def test_a_phone_that_may_be_one_rows_or_anothers_is_neithers() -> None:
    assert phones(listed([PHONES[0], PHONES[0], PHONES[1]])) == ["", "", PHONES[1]]


def test_a_phone_before_the_list_is_no_rows() -> None:
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.text(phone(9))
    answer.begin(LIST)
    answer.plain(2)
    for number in range(2):
        answer.begin(ROW)
        answer.text(phone(9))
        answer.core(ref(number), "1100")
    assert phones(read_page(answer.response())) == ["", ""]


def test_a_phone_behind_the_list_is_not_the_last_rows_where_the_others_stand_before() -> None:
    answer = listing(2)
    answer.rows(2)
    answer.text(phone(9))
    assert phones(read_page(answer.response())) == [phone(0), phone(1)]


def test_a_phone_may_stand_in_an_object_of_its_own() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.begin("ru.example.Contact/9")
        answer.plain(number, 7)
        answer.text(phone(number))
        answer.core(ref(number), "1100")
    assert phones(read_page(answer.response())) == [phone(0), phone(1)]


def test_names_are_the_strings_that_are_all_written_as_names() -> None:
    departments = ["Отдел", "Отдел", "Склад"]
    assert names(listed(departments, NAMES, PHONES)) == NAMES
    assert names(listed(PHONES, departments, after=NAMES))[:2] == NAMES[:2]


def test_a_name_that_comes_again_is_told_again() -> None:
    again = [NAMES[0], NAMES[1], NAMES[0]]
    assert names(listed(again, PHONES)) == again


def test_what_stands_beside_the_phone_is_the_name_where_nothing_is_written_as_one() -> None:
    odd = ["касса 1", "O'Connor & Co", "склад"]
    assert names(listed(["701", "702", "703"], odd, PHONES)) == odd


def test_a_last_page_without_names_takes_none_from_those_before_it() -> None:
    nobody = [None for _ in NAMES]
    assert names(listed(NAMES, PHONES), listed(nobody, PHONES)) == [*NAMES, "", "", ""]


@pytest.mark.parametrize("texts", [["701", "702", "703"], [None, None, None]])
def test_numbers_and_nothing_are_no_names(texts: list[str | None]) -> None:
    assert names(listed(texts, PHONES)) == ["", "", ""]


def test_a_name_is_not_told_where_records_are_unlike_each_other() -> None:
    answer = listing(3)
    for number in range(3):
        answer.begin(ROW)
        answer.text(NAMES[number])
        answer.begin(LIST)
        answer.plain(number, *[0] * number)
        answer.core(ref(number), "1100")
    assert names(read_page(answer.response())) == ["", "", ""]
