"""All pages make up one list that can be believed, or there is no list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cabinet.answers import phone, ref
from vats_exporter.cabinet import listing
from vats_exporter.cabinet.by_block import Record
from vats_exporter.cabinet.errors import (
    DoubtfulError,
    IncompleteError,
    UndecodableError,
    UnreachableError,
)
from vats_exporter.cabinet.listing import Plausibility, make_trunks, read_all
from vats_exporter.cabinet.reading import Page
from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions
from vats_exporter.gwt import encode_long
from vats_exporter.trunks import FLAG_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vats_exporter.cabinet.reading import Column
    from vats_exporter.trunks import Listing, Trunk

VALUES = tuple(int(position in (4, 6)) for position in FLAG_POSITIONS)


def page(refs: Sequence[int], total: int | None = None) -> Page:
    records = tuple(Record(encode_long(2_600_000_000 + ref), VALUES) for ref in refs)
    return Page(records, total)


def cabinet(rows: int, page_size: int, total: int | None = None) -> Callable[[int], Page]:
    def read(number: int) -> Page:
        start = number * page_size
        return page(range(start, min(start + page_size, rows)), total)

    return read


class Counted:
    """Reads pages and remembers which."""

    def __init__(self, read: Callable[[int], Page]) -> None:
        self.read = read
        self.asked: list[int] = []

    def __call__(self, number: int) -> Page:
        self.asked.append(number)
        return self.read(number)


def whole(read: Callable[[int], Page], settings: CabinetSettings | None = None) -> Listing:
    """Read a first list."""
    return read_all(read, settings or CabinetSettings(), Plausibility())


@pytest.mark.parametrize(
    ("rows", "requests"), [(0, 1), (1, 2), (99, 2), (100, 2), (101, 3), (300, 4), (2600, 27)]
)
def test_pages_are_read_in_order_until_one_is_empty(rows: int, requests: int) -> None:
    read = Counted(cabinet(rows, 100, total=rows))
    listing = whole(read)
    assert read.asked == list(range(requests))
    assert listing.pages == requests
    assert [trunk.id for trunk in listing.trunks] == [2_600_000_000 + row for row in range(rows)]


@given(rows=st.integers(0, 60), page_size=st.integers(1, 20))
def test_every_row_is_there_whatever_the_page_size(rows: int, page_size: int) -> None:
    listing = whole(cabinet(rows, page_size, rows), CabinetSettings(page_size=page_size))
    assert len(listing.trunks) == rows
    assert listing.pages == -(-rows // page_size) + 1


def test_a_cabinet_that_ignores_the_page_is_noticed() -> None:
    read = Counted(lambda number: page(range(100)))
    with pytest.raises(IncompleteError, match=r"page 2 is page 1 again.*\{page\}"):
        whole(read)
    assert read.asked == [0, 1]


def test_a_page_that_comes_again_later_is_noticed() -> None:
    pages = [range(100), range(100, 200), range(100)]
    with pytest.raises(IncompleteError, match="page 3 is page 1 again"):
        whole(lambda number: page(pages[number]))


def test_a_row_that_moved_to_the_next_page_is_noticed() -> None:
    pages = [range(100), range(99, 150)]
    with pytest.raises(IncompleteError, match="twice, on pages 1 and 2"):
        whole(lambda number: page(pages[number]))


def test_a_row_that_comes_twice_on_one_page_is_noticed() -> None:
    with pytest.raises(IncompleteError, match="twice, on pages 1 and 1"):
        whole(lambda number: page([1, 2, 1]))


def test_a_page_with_more_rows_than_asked_for_is_noticed() -> None:
    with pytest.raises(IncompleteError, match=r"150 rows, 100 were asked for.*page_size"):
        whole(lambda number: page(range(150)))


def test_smaller_pages_than_asked_for_do_not_pass_as_the_whole_list() -> None:
    assert len(whole(cabinet(300, 50, total=300), CabinetSettings(page_size=100)).trunks) == 300


def test_a_number_that_is_no_total_can_be_ignored() -> None:
    settings = CabinetSettings(check_total=False)
    assert len(whole(cabinet(150, 100, total=7), settings).trunks) == 150


@pytest.mark.parametrize(("check_total", "told"), [(True, None), (False, None), (False, 7)])
def test_without_a_total_that_counts_pages_are_read_until_one_is_empty(
    check_total: bool, told: int | None
) -> None:
    settings = CabinetSettings(check_total=check_total)
    # A cabinet that gives pages of 10, whatever it is asked for.
    read = Counted(cabinet(35, 10, told))
    assert len(whole(read, settings).trunks) == 35
    assert read.asked == [0, 1, 2, 3, 4]


def test_a_cabinet_that_ignores_the_page_is_noticed_though_its_only_page_is_short() -> None:
    with pytest.raises(IncompleteError, match=r"page 2 is page 1 again.*\{page\}"):
        whole(lambda number: page(range(35)))


def test_a_cabinet_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ROWS", 5_000)
    read = Counted(cabinet(1_000_000, 1_000))
    with pytest.raises(IncompleteError, match="no end after 5000 rows"):
        whole(read, CabinetSettings(page_size=1_000))
    assert read.asked == [0, 1, 2, 3, 4]


def test_a_page_that_fails_fails_the_list() -> None:
    def read(number: int) -> Page:
        if number == 1:
            raise UnreachableError("list: vpbx.mts.ru: connection reset")
        return page(range(100))

    with pytest.raises(UnreachableError):
        whole(read)


# -- whether a list is believed

OURS, OTHERS = "CbwhyN", "CbwhyO"
ANSWER, BARE = "ru.cti.Response/1", "java.util.ArrayList/4159755760"


def known(*, session: int = 1, permutation: str = "A" * 32) -> Plausibility:
    made = Plausibility()
    made.reference, made.session = OURS, session
    made.deployed(permutation)
    return made


def listed(
    plausibility: Plausibility,
    rows: int,
    *,
    total: int | None = None,
    answer_class: str = ANSWER,
    longs: tuple[str, ...] = (OURS,),
) -> Listing:
    """Read a list of so many rows, in pages of ten."""

    def read(number: int) -> Page:
        refs = range(10 * number, min(10 * number + 10, rows))
        return replace(page(refs, total), answer_class=answer_class, longs=longs)

    return read_all(read, CabinetSettings(page_size=10), plausibility)


def test_a_number_is_the_total_once_a_list_that_ended_by_itself_had_as_many_rows() -> None:
    plausibility = known()
    first = Counted(cabinet(25, 10, total=25))
    read_all(first, CabinetSettings(page_size=10), plausibility)
    assert first.asked == [0, 1, 2, 3]  # until a page is empty
    second = Counted(cabinet(25, 10, total=25))
    read_all(second, CabinetSettings(page_size=10), plausibility)
    assert second.asked == [0, 1, 2]  # until a page is short
    for rows in (24, 26):
        with pytest.raises(IncompleteError, match=rf"{rows} rows, but the cabinet says 25"):
            listed(plausibility, rows, total=25)


def test_a_phantom_total_never_refuses_a_list() -> None:
    plausibility = known()
    for rows in (25, 26, 3, 25):
        listing = listed(plausibility, rows, total=237)
        assert len(listing.trunks) == rows
        assert any("(237) differs from that of its" in warning for warning in listing.warnings)


def test_a_total_that_is_not_checked_is_no_remark_either() -> None:
    settings = CabinetSettings(page_size=10, check_total=False)
    listing = read_all(cabinet(25, 10, total=237), settings, known())
    assert not any("237" in warning for warning in listing.warnings)


def test_another_enterprises_list_is_refused_where_answers_show_whose_they_are() -> None:
    plausibility = known()
    listed(plausibility, 25)
    with pytest.raises(IncompleteError, match="another enterprise's"):
        listed(plausibility, 25, longs=(OTHERS,))
    with pytest.raises(IncompleteError, match="another enterprise's"):
        listed(plausibility, 0, longs=(OTHERS,))
    assert len(listed(plausibility, 26).trunks) == 26


def test_a_list_whose_second_page_is_another_enterprises_is_refused() -> None:
    def read(number: int) -> Page:
        refs = range(10 * number, 10 * number + 10)
        return replace(page(refs), answer_class=ANSWER, longs=((OURS, OTHERS)[number],))

    with pytest.raises(IncompleteError, match="page 2"):
        read_all(read, CabinetSettings(page_size=10), known())


def test_answers_that_never_showed_the_reference_need_not() -> None:
    plausibility = known()
    for longs in ((), (OTHERS,), ("CaXXXX", "CaYYYY")):
        assert len(listed(plausibility, 5, longs=longs).trunks) == 5


@pytest.mark.parametrize(
    ("rows", "answer_class", "says"),
    [
        (0, ANSWER, "it is empty, and was not before"),
        (0, BARE, "it is empty, and was not before"),
        (25, BARE, "its answers are ArrayList, and not Response as expected"),
        (25, "", "its answers are a bare value"),
    ],
)
def test_a_list_that_collapses_or_looks_otherwise_is_believed_when_another_session_says_the_same(
    rows: int, answer_class: str, says: str
) -> None:
    plausibility = known()
    listed(plausibility, 25)
    for _ in range(2):  # the same session may say it as often as it likes
        with pytest.raises(DoubtfulError, match=says):
            listed(plausibility, rows, answer_class=answer_class)
    plausibility.session += 1
    assert len(listed(plausibility, rows, answer_class=answer_class).trunks) == rows
    assert len(listed(plausibility, rows, answer_class=answer_class).trunks) == rows


def test_a_doubt_is_over_when_the_list_is_as_it_was() -> None:
    plausibility = known()
    listed(plausibility, 25)
    with pytest.raises(DoubtfulError):
        listed(plausibility, 0)
    plausibility.session += 1
    assert len(listed(plausibility, 24).trunks) == 24
    with pytest.raises(DoubtfulError):  # and it begins anew
        listed(plausibility, 0)


def test_another_session_that_says_something_else_odd_is_not_believed_either() -> None:
    plausibility = known()
    listed(plausibility, 25)
    with pytest.raises(DoubtfulError):
        listed(plausibility, 0)
    plausibility.session += 1
    with pytest.raises(DoubtfulError):
        listed(plausibility, 7, answer_class=BARE)


def test_after_a_redeployment_another_class_and_another_number_are_no_surprise() -> None:
    plausibility = known()
    listed(plausibility, 25, total=25)
    plausibility.deployed("B" * 32)
    assert len(listed(plausibility, 25, total=7, answer_class="ru.Other/2").trunks) == 25
    plausibility.deployed("C" * 32)
    with pytest.raises(DoubtfulError, match="empty"):
        listed(plausibility, 0, answer_class="ru.Third/3")


def test_a_page_of_another_kind_at_the_end_of_a_list_is_not_believed_at_once() -> None:
    # It may be maintenance in the middle of a list: the rest of the rows would be missing.
    def read(number: int) -> Page:
        refs = range(10) if number == 0 else range(0)
        return replace(page(refs), answer_class=ANSWER if number == 0 else BARE)

    plausibility = known()
    settings = CabinetSettings(page_size=10)
    with pytest.raises(DoubtfulError, match="Response, ArrayList, and not Response"):
        read_all(read, settings, plausibility)
    plausibility.session += 1
    assert len(read_all(read, settings, plausibility).trunks) == 10


def test_a_first_list_that_is_empty_is_believed() -> None:
    assert listed(known(), 0).trunks == ()


@pytest.mark.parametrize("read_by", ["script", "block"])
def test_a_listing_says_by_what_it_was_read_and_why_not_by_the_script(read_by: str) -> None:
    def read(number: int) -> Page:
        made = page(range(5) if number == 0 else range(0))
        if read_by == "block":
            return replace(made, not_by_script="ru.X/1 is not in the script")
        return replace(made, read_by="script")

    listing = read_all(read, CabinetSettings(), known())
    assert listing.read_by == read_by
    why = "read by the block of each row, not by the cabinet's script: ru.X/1 is not in the script"
    assert (why in listing.warnings) == (read_by == "block")


# -- phones and names

NAMES = ["Иванов Пётр", "Ли Анна", "Ким Ольга", "Юн Борис", "Цой Вера"]


def columns(*columns: Sequence[str | None], patterns: Sequence[str] = ()) -> Page:
    """A page by the script whose records have these texts."""
    count = len(columns[0]) if columns else len(patterns)
    records = [Record(ref(number), VALUES) for number in range(count)]
    for number, pattern in enumerate(patterns):
        values = dict.fromkeys(FLAG_POSITIONS, 0)
        values.update(zip((4, 6, 7, 9), map(int, pattern), strict=True))
        records[number] = Record(ref(number), tuple(values.values()))
    texts: dict[Column, tuple[str | None, ...]] = {
        (-at,): tuple(column) for at, column in enumerate(columns, start=1)
    }
    return Page(tuple(records), read_by="script", texts=texts)


def trunks_of(*pages: Page) -> tuple[Trunk, ...]:
    return make_trunks(pages, FlagPositions())[0]


def phones(count: int, start: int = 0) -> list[str]:
    return [phone(number) for number in range(start, start + count)]


@pytest.mark.parametrize(
    "note", ["Отдел Продаж Северо Западного Округа", "отдел продаж", "Отдел", "Отдел 7"]
)
def test_a_name_is_two_to_four_words_with_capitals(note: str) -> None:
    names = ["Шах Абдул Карим Ага", "Фон Дер Бах Анна"]
    notes = [note, note + "а"]
    assert [trunk.name for trunk in trunks_of(columns(names, notes, phones(2)))] == names


def test_a_column_of_numbers_is_no_name() -> None:
    extensions = ["701", "702", "+7 (703)", "704", "705"]
    assert [t.name for t in trunks_of(columns(extensions, phones(5)))] == [""] * 5
    assert [t.name for t in trunks_of(columns(extensions, phones(5), NAMES))] == NAMES


def test_a_row_without_a_name_has_an_empty_one() -> None:
    names = [*NAMES[:4], None]
    assert [t.name for t in trunks_of(columns(phones(5), names))] == [*NAMES[:4], ""]


def test_columns_are_the_same_on_all_pages() -> None:
    # The last page alone could be read either way.
    first, last = columns(phones(5), NAMES), columns([phone(9)], ["Отдел Продаж"])
    found = trunks_of(first, last)
    assert [trunk.name for trunk in found] == [*NAMES, "Отдел Продаж"]
    assert [trunk.phone for trunk in found] == [*phones(5), phone(9)]


def test_a_column_that_a_page_lacks_is_empty_on_it() -> None:
    found = trunks_of(columns(phones(5), NAMES), columns([phone(9)]))
    assert [trunk.name for trunk in found] == [*NAMES, ""]


def test_a_phone_shows_each_once_and_a_shared_number_is_none() -> None:
    office = ["79160000000"] * 5
    some = [phone(0), None, *phones(3, 1)]
    for both in ((office, some), (some, office)):
        found = trunks_of(columns(*both))
        assert [trunk.phone for trunk in found] == [text or "" for text in some]


@pytest.mark.parametrize(("rows", "others", "told"), [(5, 2, True), (5, 3, False), (100, 85, True)])
def test_of_two_columns_of_phones_the_one_that_shows_clearly_more_is_taken(
    rows: int, others: int, told: bool
) -> None:
    some = [*phones(others, 500), *[None] * (rows - others)]
    found = trunks_of(columns(some, phones(rows)))
    assert [trunk.phone for trunk in found] == (phones(rows) if told else [""] * rows)


def test_two_columns_with_the_same_phones_are_one() -> None:
    assert [trunk.phone for trunk in trunks_of(columns(phones(3), phones(3)))] == phones(3)


def test_a_few_phones_among_other_texts_are_notes() -> None:
    notes = [phone(1), "позвонить", "вечером"]
    found, warnings = make_trunks([columns(notes)], FlagPositions())
    assert [trunk.phone for trunk in found] == ["", "", ""]
    assert warnings == ("no column of the list is certainly the phone: 3 trunks have none",)


def test_rows_without_a_phone_are_told_of() -> None:
    found, warnings = make_trunks([columns([phone(0), None, phone(2)])], FlagPositions())
    assert [trunk.phone for trunk in found] == [phone(0), "", phone(2)]
    assert warnings == ("1 of 3 trunks show no phone",)


def test_patterns_that_are_not_known_are_counted_in_order() -> None:
    patterns = ["1110", "0101", "1110", "1100"]
    _, warnings = make_trunks([columns(phones(4), patterns=patterns)], FlagPositions())
    assert warnings == ("unknown patterns: 0101 (1), 1110 (2)",)


def test_positions_of_the_flags_are_configurable() -> None:
    read = columns(phones(2), patterns=["1010", "0101"])
    found, _ = make_trunks([read], FlagPositions(active=9, bound=7, marked_for_deletion=6))
    assert [(t.flags.active, t.flags.bound, t.flags.marked_for_deletion) for t in found] == [
        (False, True, False),
        (True, False, True),
    ]


def test_no_rows_give_no_trunks_and_no_warning() -> None:
    assert make_trunks([Page(())], FlagPositions()) == ((), ())
    assert make_trunks([], FlagPositions()) == ((), ())


def test_a_reference_that_is_no_long_is_refused_with_its_place() -> None:
    broken = Page((Record("Ca-L", VALUES),))
    with pytest.raises(UndecodableError) as caught:
        make_trunks([broken], FlagPositions())
    assert str(caught.value) == (
        "a row's reference is not a number: a long has a foreign character at 2"
    )
