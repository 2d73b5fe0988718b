"""What a page says, whichever reader read it, and which texts are its phones and names."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.cabinet.answers import CORE, ROW, listing, phone, ref, table
from tests.cabinet.layouts import STRING
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import Page, Record, guess_total, read_trunks
from vats_exporter.cabinet.reading import read_page
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.trunks import FLAG_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.cabinet.page import Column
    from vats_exporter.trunks import Trunk

NAMES = ["Иванов Пётр", "Ли Анна", "Ким Ольга", "Юн Борис", "Цой Вера"]
USUAL = tuple(int(position in (4, 6)) for position in FLAG_POSITIONS)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({4: 1, 6: 1}, "1100"),
        ({7: 1, 9: 1}, "0011"),
        ({4: None, 6: 1}, "-100"),
        ({4: 1, 8: 1, 12: 30}, "1000+8=1+12=30"),
        ({2: 1}, "0000+2=1"),
    ],
)
def test_a_pattern_shows_the_varying_positions_and_what_is_not_0(
    values: dict[int, int | None], pattern: str
) -> None:
    record = Record("CaLztv", tuple({**dict.fromkeys(FLAG_POSITIONS, 0), **values}.values()))
    assert record.pattern == pattern
    assert {at: record.value(at) for at in values} == values


@pytest.mark.parametrize(
    ("numbers", "rows", "total"),
    [
        ([237], 100, 237),
        ([0, 237, 1], 100, 237),
        ([7, 237], 100, 237),  # there can't be fewer than on the page
        ([150, 237], 100, None),
        ([3], 100, None),
        ([], 0, None),
        ([0], 0, 0),
        ([1, 0, 1], 0, None),
        ([1], 1, 1),
    ],
)
def test_a_total_is_guessed_only_where_one_number_alone_may_be_it(
    numbers: list[int], rows: int, total: int | None
) -> None:
    assert guess_total(numbers, rows) == total


# -- phones and names


def page(*columns: Sequence[str | None], patterns: Sequence[str] = ()) -> Page:
    """A page by the script whose records have these texts."""
    count = len(columns[0]) if columns else len(patterns)
    records = [Record(ref(number), USUAL) for number in range(count)]
    for number, pattern in enumerate(patterns):
        values = dict.fromkeys(FLAG_POSITIONS, 0)
        values.update(zip((4, 6, 7, 9), map(int, pattern), strict=True))
        records[number] = Record(ref(number), tuple(values.values()))
    texts: dict[Column, tuple[str | None, ...]] = {
        (-at,): tuple(column) for at, column in enumerate(columns, start=1)
    }
    return Page(tuple(records), read_by="script", texts=texts)


def trunks_of(*pages: Page) -> tuple[Trunk, ...]:
    return read_trunks(pages, FlagPositions())[0]


def phones(count: int, start: int = 0) -> list[str]:
    return [phone(number) for number in range(start, start + count)]


@pytest.mark.parametrize(
    "note", ["Отдел Продаж Северо Западного Округа", "отдел продаж", "Отдел", "Отдел 7"]
)
def test_a_name_is_two_to_four_words_with_capitals(note: str) -> None:
    names = ["Шах Абдул Карим Ага", "Фон Дер Бах Анна"]
    notes = [note, note + "а"]
    assert [trunk.name for trunk in trunks_of(page(names, notes, phones(2)))] == names


def test_a_column_of_numbers_is_no_name() -> None:
    extensions = ["701", "702", "+7 (703)", "704", "705"]
    assert [t.name for t in trunks_of(page(extensions, phones(5)))] == [""] * 5
    assert [t.name for t in trunks_of(page(extensions, phones(5), NAMES))] == NAMES


def test_a_row_without_a_name_has_an_empty_one() -> None:
    names = [*NAMES[:4], None]
    assert [t.name for t in trunks_of(page(phones(5), names))] == [*NAMES[:4], ""]


def test_columns_are_the_same_on_all_pages() -> None:
    # The last page alone could be read either way.
    first, last = page(phones(5), NAMES), page([phone(9)], ["Отдел Продаж"])
    found = trunks_of(first, last)
    assert [trunk.name for trunk in found] == [*NAMES, "Отдел Продаж"]
    assert [trunk.phone for trunk in found] == [*phones(5), phone(9)]


def test_a_column_that_a_page_lacks_is_empty_on_it() -> None:
    found = trunks_of(page(phones(5), NAMES), page([phone(9)]))
    assert [trunk.name for trunk in found] == [*NAMES, ""]


def test_a_phone_shows_each_once_and_a_shared_number_is_none() -> None:
    office = ["79160000000"] * 5
    some = [phone(0), None, *phones(3, 1)]
    for columns in ((office, some), (some, office)):
        found = trunks_of(page(*columns))
        assert [trunk.phone for trunk in found] == [text or "" for text in some]


@pytest.mark.parametrize(("rows", "others", "told"), [(5, 2, True), (5, 3, False), (100, 85, True)])
def test_of_two_columns_of_phones_the_one_that_shows_clearly_more_is_taken(
    rows: int, others: int, told: bool
) -> None:
    some = [*phones(others, 500), *[None] * (rows - others)]
    found = trunks_of(page(some, phones(rows)))
    assert [trunk.phone for trunk in found] == (phones(rows) if told else [""] * rows)


def test_two_columns_with_the_same_phones_are_one() -> None:
    assert [trunk.phone for trunk in trunks_of(page(phones(3), phones(3)))] == phones(3)


def test_a_few_phones_among_other_texts_are_notes() -> None:
    notes = [phone(1), "позвонить", "вечером"]
    found, warnings = read_trunks([page(notes)], FlagPositions())
    assert [trunk.phone for trunk in found] == ["", "", ""]
    assert warnings == ("no column of the list is certainly the phone: 3 trunks have none",)


def test_rows_without_a_phone_are_told_of() -> None:
    found, warnings = read_trunks([page([phone(0), None, phone(2)])], FlagPositions())
    assert [trunk.phone for trunk in found] == [phone(0), "", phone(2)]
    assert warnings == ("1 of 3 trunks show no phone",)


def test_patterns_that_are_not_known_are_counted_in_order() -> None:
    patterns = ["1110", "0101", "1110", "1100"]
    _, warnings = read_trunks([page(phones(4), patterns=patterns)], FlagPositions())
    assert warnings == ("unknown patterns: 0101 (1), 1110 (2)",)


def test_positions_of_the_flags_are_configurable() -> None:
    read = page(phones(2), patterns=["1010", "0101"])
    found, _ = read_trunks([read], FlagPositions(active=9, bound=7, marked_for_deletion=6))
    assert [(t.flags.active, t.flags.bound, t.flags.marked_for_deletion) for t in found] == [
        (False, True, False),
        (True, False, True),
    ]


def test_no_rows_give_no_trunks_and_no_warning() -> None:
    assert read_trunks([Page(())], FlagPositions()) == ((), ())
    assert read_trunks([], FlagPositions()) == ((), ())


def test_a_reference_that_is_no_long_is_refused_with_its_place() -> None:
    broken = Page((Record("Ca-L", USUAL),))
    with pytest.raises(UndecodableError) as caught:
        read_trunks([broken], FlagPositions())
    assert str(caught.value) == (
        "a row's reference is not a number: a long has a foreign character at 2"
    )


def test_a_phone_and_a_name_may_stand_in_objects_within_the_record() -> None:
    contact, person = "ru.example.Contact/8", "ru.example.Person/9"
    answer = listing(5)
    for number in random.Random(3).sample(range(5), 5):
        answer.begin(ROW)
        answer.begin(contact)
        answer.begin(person)
        answer.boxed(STRING, answer.index(NAMES[number]))
        answer.plain(number)
        answer.text(phone(number))
        answer.core(ref(number), "1100")
    told = table(row="o" + CORE, **{contact: "ons", person: "o"})
    read = trunks_of(read_page(answer.response(), told))
    assert {(trunk.ref, trunk.phone, trunk.name) for trunk in read} == {
        (ref(number), phone(number), NAMES[number]) for number in range(5)
    }
