"""No row's flag is read from the wrong object, whatever stands before the list."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cabinet.answers import ROW, Answer, phone, ref, start_list
from tests.cabinet.layouts import BOOLEAN, DATE, INTEGER, LIST, LONG, STRING
from vats_exporter.cabinet.by_block import FLAG
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.reading import read_page
from vats_exporter.gwt import encode_long

STATE = "ru.example.State/3"

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
        answer.begin(STRING)
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
    records = read_page(answer.response()).records
    assert [record.ref for record in records] == [ref(number) for number in range(len(records))]
    return [bool(record.values[FLAG]) for record in records]


@settings(max_examples=300, deadline=None)
@given(
    header=st.lists(FIELDS, max_size=6),
    actives=st.lists(st.booleans(), min_size=1, max_size=12),
    count=st.integers(2, 100),
)
def test_the_flags_are_right_or_refused_whatever_the_header_holds(
    header: list[str], actives: list[bool], count: int
) -> None:
    # What a number that looks like a class is cannot always be told.
    with suppress(UndecodableError):
        assert read(answer_with(header, actives, count)) == actives


def test_flags_in_the_header_are_no_objects() -> None:
    # The answer's own class is the first of the table, and every true of the header looks like it.
    actives = [False, *[True] * 9]
    assert read(answer_with(["true", "true", "false"], actives)) == actives


def test_a_boxed_text_of_the_header_counts_among_the_objects() -> None:
    actives = [True, False, True]
    assert read(answer_with(["boxed text", "boxed true"], actives)) == actives


@pytest.mark.parametrize("actives", [[True, True, True], [False, False], [True, False]])
def test_references_to_the_headers_own_booleans_are_those(actives: list[bool]) -> None:
    assert read(answer_with(["boxed true", "text", "boxed false"], actives)) == actives


def refused(answer: Answer) -> str:
    with pytest.raises(UndecodableError) as caught:
        read_page(answer.response())
    return str(caught.value)


def rows_that_refer_to(*numbers: int) -> Answer:
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.boxed(STATE, 1)
    answer.boxed(BOOLEAN, 1)
    answer.begin(LIST)
    answer.plain(len(numbers))
    for number, reference in enumerate(numbers):
        answer.begin(ROW)
        answer.plain(0, 0, 0, 0, 0, 0, 1, -reference, 0, 0)
        answer.boxed(LONG, ref(number))
    return answer


@pytest.mark.parametrize("reference", [1, 2, 4, 9, 99])
def test_a_reference_to_no_flag_is_refused(reference: int) -> None:
    # 1 is the answer, 2 an enum constant, 3 a Boolean, 4 the list.
    assert read(rows_that_refer_to(3, 3)) == [True, True]
    assert refused(rows_that_refer_to(3, reference)).endswith("is not certain")


def test_references_to_more_objects_than_there_are_values_are_refused() -> None:
    assert refused(rows_that_refer_to(1, 2, 3)).endswith("is not certain")


def test_an_object_that_may_have_either_of_two_values_is_refused() -> None:
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.boxed(BOOLEAN, 0)
    # A number that may be a Boolean's class, so that the second of them is the third object or not.
    answer.plain(2, 1)
    answer.boxed(BOOLEAN, 1)
    answer.begin(LIST)
    answer.plain(1)
    answer.begin(ROW)
    answer.plain(0, 0, 0, 0, 0, 0, 1, -3, 0, 0)
    answer.boxed(LONG, ref(0))
    assert read_flag_or_reason(answer) in ([True], "is not certain")


def read_flag_or_reason(answer: Answer) -> list[bool] | str:
    try:
        return read(answer)
    except UndecodableError as error:
        return str(error)[-14:]


def test_booleans_of_another_field_are_not_mistaken_for_the_shared_ones() -> None:
    answer = Answer(share_booleans=True)
    start_list(answer, 4)
    for number, pattern in enumerate(("1100", "0100", "1100", "0100")):
        answer.begin(ROW)
        answer.boxed(BOOLEAN, number % 2)
        answer.core(ref(number), pattern)
    assert read(answer) == [True, False, True, False]
