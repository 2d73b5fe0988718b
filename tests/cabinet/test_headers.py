"""What stands before the list may be anything; no row's flag is read from the wrong object."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cabinet.answers import ROW, Answer, phone, ref
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.references import Cell, DecodedObject, resolve
from vats_exporter.cabinet.rows import read_page, read_trunks
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.gwt import encode_long

LIST = "java.util.ArrayList/4159755760"
LONG = "java.lang.Long/4227064769"
DATE = "java.util.Date/3385151746"
STATE = "ru.example.State/3"
INTEGER = "java.lang.Integer/3438268394"

# Booleans and nulls are 1 and 0; a count or a size is written as it is.
FIELDS = st.sampled_from(
    [
        *("true", "false", "null", "count", "text", "boxed true", "boxed false", "boxed long"),
        *("boxed int", "boxed text", "state", "date", "long", "double"),
    ]
)


def write(answer: Answer, field: str, count: int = 100) -> None:
    """One field, as Google's writer does."""
    if field in {"true", "false", "null"}:
        answer.plain(int(field == "true"))
    elif field == "count":
        answer.plain(count)
    elif field == "text":
        answer.text("страница")
    elif field in {"boxed true", "boxed false"}:
        answer.boolean(int(field == "boxed true"))
    elif field == "boxed long":
        answer.boxed(LONG, "CbwhyN")
    elif field == "boxed int":
        answer.boxed(INTEGER, 100)
    elif field == "boxed text":
        answer.begin("java.lang.String/2004016611")
        answer.text("раздел")
    elif field == "state":
        answer.boxed(STATE, 0, shared=True)
    elif field == "date":
        answer.boxed(DATE, encode_long(1_700_000_000_000))
    elif field == "long":
        answer.plain(encode_long(17_814))
    else:
        answer.plain(2.5)


def answer_with(header: list[str], actives: list[bool], count: int = 100) -> Answer:
    """A page whose rows share their Booleans, with the header's and with each other."""
    answer = Answer(share_booleans=True)
    answer.begin("ru.example.Response/1")
    for field in header:
        write(answer, field, count)
    answer.begin(LIST)
    answer.plain(len(actives))
    for number, active in enumerate(actives):
        answer.begin(ROW)
        answer.text(phone(number))
        answer.core(ref(number), "1100" if active else "0011")
    answer.plain(len(actives) + 400)
    return answer


def read(answer: Answer) -> list[bool]:
    """The flag that is a back reference, and whether all else is right."""
    trunks, _ = read_trunks([read_page(answer.response())], FlagPositions())
    assert [trunk.ref for trunk in trunks] == [ref(number) for number in range(len(trunks))]
    return [trunk.flags.active for trunk in trunks]


@settings(max_examples=300, deadline=None)
@given(
    header=st.lists(FIELDS, max_size=6), actives=st.lists(st.booleans(), min_size=1, max_size=12)
)
def test_the_flags_are_right_whatever_the_header_holds(
    header: list[str], actives: list[bool]
) -> None:
    assert read(answer_with(header, actives)) == actives


@settings(max_examples=300, deadline=None)
@given(
    header=st.lists(FIELDS, max_size=4),
    actives=st.lists(st.booleans(), min_size=2, max_size=12),
    count=st.integers(2, 9),
)
def test_where_a_count_looks_like_a_class_no_row_is_lost(
    header: list[str], actives: list[bool], count: int
) -> None:
    # What such a number is cannot always be told. What is never done is to leave out a row.
    with suppress(UndecodableError):
        assert len(read(answer_with(["count", *header], actives, count))) == len(actives)


def test_a_reading_that_leaves_rows_out_gives_way_to_one_that_does_not() -> None:
    # The count 2 is the list's class, and the list's own 2 and 3 may be a length and a record's
    # class: two rows line up, and the third is left over. It is the next reading that is right.
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.plain(2)
    answer.begin(LIST)
    answer.plain(3)
    for number in range(3):
        answer.begin(ROW)
        answer.boxed(STATE, 2)
        answer.text(phone(number))
        answer.core(ref(number), "1100")
    assert read(answer) == [True] * 3


def test_a_long_that_is_no_rows_does_not_hide_those_after_it() -> None:
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.plain(*[0] * 12)
    answer.boxed(LONG, "CbwhyN")
    answer.begin("ru.example.PageList/77")
    answer.plain(2)
    for number in range(2):
        answer.row(number)
    answer.begin(LIST)
    answer.plain(0)
    with pytest.raises(UndecodableError, match=r"^there are rows in the answer outside of any"):
        read_page(answer.response())


def test_flags_in_the_header_are_no_objects() -> None:
    # The answer's own class is the first of the table, and every true of the header looks like it.
    actives = [False, *[True] * 9]
    assert read(answer_with(["true", "true", "false"], actives)) == actives


def test_a_boxed_text_of_the_header_counts_among_the_strings() -> None:
    assert read(answer_with(["boxed text", "boxed true"], [True, False, True])) == [
        *(True, False, True)
    ]


@pytest.mark.parametrize("actives", [[True, True, True], [False, False], [True, False]])
def test_references_to_the_headers_own_booleans_are_those(actives: list[bool]) -> None:
    assert read(answer_with(["boxed true", "boxed false"], actives)) == actives


STATES = [DecodedObject("State", value) for value in (0, 1, 1, 2)]
REFERENCE = [[Cell("", -6, is_object=False)], [Cell("State", 0, is_object=True)]]


def test_a_reference_means_what_the_count_says_if_that_can_be() -> None:
    rows = [list(row) for row in REFERENCE]
    resolve(rows, [*STATES, *STATES], range(-2, 3))
    assert rows[0] == [Cell("State", 1, is_object=True)]


@pytest.mark.parametrize(
    ("shifts", "meant"),
    [
        (range(2, 3), 2),
        (range(3, 5), 1),
        (range(2, 4), None),
        (range(1), None),
        (range(9, 10), None),
    ],
)
def test_where_the_count_cannot_be_right_another_is_taken_unless_two_differ(
    shifts: range, meant: int | None
) -> None:
    # Four objects: the sixth is none of them. Two fewer before it make it the fourth, and so on.
    rows = [list(row) for row in REFERENCE]
    if meant is None:
        with pytest.raises(UndecodableError, match="row 1, column 1: -6 "):
            resolve(rows, STATES, shifts)
    else:
        resolve(rows, STATES, shifts)
        assert rows[0] == [Cell("State", meant, is_object=True)]
