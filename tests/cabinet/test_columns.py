"""Which column is the reference, the phone and the name is told from how their values look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cabinet.answers import LONG, ROW, Answer, listing, phone, ref, start_list
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.rows import Page, read_page, read_trunks
from vats_exporter.cabinet.settings import FlagPositions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.gwt import Response
    from vats_exporter.trunks import Trunk

STRING = "java.lang.String/2004016611"
NAMES = ["Иванов Пётр", "Ли Анна", "Ким Ольга", "Юн Борис", "Цой Вера"]
OTHERS = ["Орлов Лев", "Зуева Инна", "Бах Ганс", "Гусев Илья", "Рой Майя"]
SHAPELESS = (
    "a list of {} records, but they hold no row as it is known: "
    "a reference and twelve values around a boxed flag"
)


def trunks_of(response: Response) -> tuple[Trunk, ...]:
    return read_trunks([read_page(response)], FlagPositions())[0]


def table(*columns: Sequence[str | None]) -> Response:
    """A list whose records are these strings, then the row's values."""
    answer = listing(len(columns[0]))
    for number, row in enumerate(zip(*columns, strict=True)):
        answer.begin(ROW)
        for text in row:
            answer.text(text)
        answer.core(ref(number), "1100")
    return answer.response()


def phones(count: int) -> list[str]:
    return [phone(number) for number in range(count)]


def test_of_two_columns_of_names_the_one_nearest_the_phone_is_taken() -> None:
    offices = ["Отдел продаж"] * 5
    after = trunks_of(table(OTHERS, offices, phones(5), NAMES))
    before = trunks_of(table(NAMES, phones(5), offices, OTHERS))
    assert [trunk.name for trunk in after] == [trunk.name for trunk in before] == NAMES


@pytest.mark.parametrize(
    "note", ["Отдел Продаж Северо Западного Округа", "отдел продаж", "Отдел", "Отдел 7"]
)
def test_a_name_is_two_to_four_words_with_capitals(note: str) -> None:
    names = ["Шах Абдул Карим Ага", "Фон Дер Бах Анна"]
    notes = [note, note + "а"]
    assert [trunk.name for trunk in trunks_of(table(names, notes, phones(2)))] == names


def test_a_column_of_numbers_is_no_name() -> None:
    extensions = ["701", "702", "+7 (703)", "704", "705"]
    assert [t.name for t in trunks_of(table(extensions, phones(5)))] == [""] * 5
    assert [t.name for t in trunks_of(table(extensions, phones(5), NAMES))] == NAMES


def test_a_row_without_a_name_has_an_empty_one() -> None:
    names = [*NAMES[:4], None]
    assert [t.name for t in trunks_of(table(phones(5), names))] == [*NAMES[:4], ""]


def test_a_name_may_be_an_object_of_its_own() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.text(phone(number))
        answer.boxed(STRING, answer.index(NAMES[number]))
        answer.core(ref(number), "1100")
    assert [trunk.name for trunk in trunks_of(answer.response())] == NAMES[:2]


def test_an_enums_number_is_no_text_though_it_could_be_a_strings_index() -> None:
    answer = Answer()
    for name in OTHERS:
        answer.index(name)
    start_list(answer, 2)
    for number in range(2):
        answer.begin(ROW)
        answer.text(NAMES[number])
        answer.text("Отдел")
        answer.text(phone(number))
        answer.boxed("ru.example.State/3", number + 1)
        answer.core(ref(number), "1100")
    assert [trunk.name for trunk in trunks_of(answer.response())] == NAMES[:2]


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_columns_of_phones_the_one_that_shows_more_is_taken(turned: bool) -> None:
    some = [None, "79160000001", "79160000002"]
    columns: list[Sequence[str | None]] = [some, phones(3)]
    shown = trunks_of(table(*reversed(columns)) if turned else table(*columns))
    assert [trunk.phone for trunk in shown] == phones(3)


@pytest.mark.parametrize(("rows", "shown", "told"), [(5, 2, False), (4, 2, False), (5, 3, True)])
def test_a_phone_shows_in_most_rows(rows: int, shown: int, told: bool) -> None:
    column = [*phones(shown), *[None] * (rows - shown)]
    response = table(column)
    trunks, warnings = read_trunks([read_page(response)], FlagPositions())
    assert [trunk.phone for trunk in trunks] == [
        phone(number) if told and number < shown else "" for number in range(rows)
    ]
    assert warnings == (
        f"{rows - shown} of {rows} trunks show no phone"
        if told
        else f"no column of the list can be told to be the phone: {rows} trunks have none",
    )


def two_cores(first: Sequence[tuple[str, int]], second: Sequence[tuple[str, int]]) -> Response:
    """Rows that hold a row's values twice: each a reference and its eighth value."""
    answer = listing(len(first))
    for number, cores in enumerate(zip(first, second, strict=True)):
        answer.begin(ROW)
        answer.text(phone(number))
        for reference, eight in cores:
            answer.core(reference, "1100", eight=eight)
    return answer.response()


OWN = [(ref(number), 0) for number in range(3)]


@pytest.mark.parametrize(
    "other",
    [
        [(ref(number + 50), 1) for number in range(3)],
        [(ref(number + 50), 7) for number in range(3)],
        [(ref(50), 0)] * 3,
    ],
    ids=["a value that is 0 in every known row", "values that are no flags", "one for all rows"],
)
def test_of_two_references_the_one_most_like_the_notes_is_taken(
    other: list[tuple[str, int]],
) -> None:
    for response in (two_cores(OWN, other), two_cores(other, OWN)):
        assert [trunk.ref for trunk in trunks_of(response)] == [ref(n) for n in range(3)]


@pytest.mark.parametrize(("rows", "flags"), [(4, 2), (5, 2), (4, 0)])
def test_rows_of_which_most_hold_no_flags_are_refused(rows: int, flags: int) -> None:
    answer = listing(rows)
    for number in range(rows):
        answer.row(number, eight=0 if number < flags else 7)
    with pytest.raises(UndecodableError) as caught:
        read_page(answer.response())
    assert str(caught.value) == SHAPELESS.format(rows)


def test_rows_of_which_most_hold_flags_are_all_read() -> None:
    answer = listing(5)
    for number in range(5):
        answer.row(number, eight=0 if number < 3 else 7)
    trunks, warnings = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.pattern for trunk in trunks] == ["1100"] * 3 + ["1100+8=7"] * 2
    assert warnings == ("unknown patterns: 1100+8=7 (2)",)


def test_patterns_that_are_not_known_are_counted_in_order() -> None:
    answer = listing(4)
    for number, pattern in enumerate(("1110", "0101", "1110", "1100")):
        answer.row(number, pattern)
    _, warnings = read_trunks([read_page(answer.response())], FlagPositions())
    assert warnings == ("unknown patterns: 0101 (1), 1110 (2)",)


@pytest.mark.parametrize("flaw", ["another class", "a long", "a long in one row"])
def test_what_only_looks_like_a_row_is_refused(flaw: str) -> None:
    answer = listing(3)
    for number in range(3):
        answer.begin(ROW)
        answer.text(phone(number))
        answer.plain(0, 0, 0, 0, 0, 0, 1)
        answer.boolean(1)
        is_long = flaw == "a long" or (flaw == "a long in one row" and number == 1)
        answer.plain(0, "Bk" if is_long else 0)
        date = "java.util.Date/3385151746"
        answer.boxed(date if flaw == "another class" else LONG, ref(number))
    with pytest.raises(UndecodableError) as caught:
        read_page(answer.response())
    assert str(caught.value) == SHAPELESS.format(3)


def test_an_empty_list_before_the_rows_hides_them_not() -> None:
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.begin("java.util.ArrayList/4159755760")
    answer.plain(0)
    answer.begin("java.util.ArrayList/4159755760")
    answer.plain(2)
    for number in range(2):
        answer.row(number)
    assert [trunk.phone for trunk in trunks_of(answer.response())] == phones(2)


def test_an_empty_list_gives_no_trunks_and_no_warning() -> None:
    answer = listing(0)
    answer.plain(0)
    page = read_page(answer.response())
    assert page == Page((), frozenset(), 0, 0)
    assert read_trunks([page], FlagPositions()) == ((), ())
    assert read_trunks([], FlagPositions()) == ((), ())


def test_an_answer_without_any_list_says_so() -> None:
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.text("Доступ запрещён")
    with pytest.raises(UndecodableError) as caught:
        read_page(answer.response())
    assert str(caught.value) == "no list of records in the answer that could be read"


def test_a_reference_that_is_no_long_is_refused_with_its_place() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.text(phone(number))
        answer.core("Ca-L" if number else ref(number), "1100")
    with pytest.raises(UndecodableError) as caught:
        trunks_of(answer.response())
    assert str(caught.value) == (
        "a row's reference is not a number: a long has a foreign character at 2"
    )
