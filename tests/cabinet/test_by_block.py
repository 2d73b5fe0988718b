"""By the rows' blocks alone: what is refused rather than guessed."""

from __future__ import annotations

import pytest

from tests.cabinet.answers import ROW, Answer, listing, phone, ref, start_list
from tests.cabinet.layouts import DATE, LIST, LONG, STRING
from vats_exporter.cabinet.by_block import Record
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.reading import read_page
from vats_exporter.trunks import FLAG_POSITIONS


def refs(answer: Answer) -> list[str]:
    return [record.ref for record in read_page(answer.response()).records]


def refused(answer: Answer) -> str:
    with pytest.raises(UndecodableError) as caught:
        read_page(answer.response())
    return str(caught.value)


@pytest.mark.parametrize("list_class", [LIST, "java.util.LinkedList/1", "[Lru.example.Row;/7"])
def test_blocks_behind_a_header_that_counts_them_are_rows(list_class: str) -> None:
    answer = Answer()
    start_list(answer, 3, list_class)
    answer.rows(3)
    assert refs(answer) == [ref(number) for number in range(3)]


@pytest.mark.parametrize("declared", [1, 2, 4])
def test_a_list_that_declares_another_number_of_rows_is_refused(declared: int) -> None:
    answer = listing(declared)
    answer.rows(3)
    assert "3 blocks, but no list of that length" in refused(answer)


def test_rows_in_what_is_not_known_to_be_a_list_are_refused() -> None:
    answer = Answer()
    start_list(answer, 2, "ru.example.PageList/77")
    answer.rows(2)
    assert "no list of that length" in refused(answer)


def test_an_answer_that_begins_with_a_block_holds_no_list() -> None:
    answer = Answer()
    answer.plain(answer.index("ru.example.Response/1"), 0, 0, 0, 0, 0, 0)
    answer.boolean(1)
    answer.plain(0, 0)
    answer.boxed(LONG, ref(0))
    assert refused(answer) == "1 blocks, but no list of that length before them"


def test_an_empty_list_is_not_believed_where_rows_stand_elsewhere() -> None:
    answer = listing(0)
    answer.begin("ru.example.PageList/77")
    answer.plain(2)
    answer.rows(2)
    assert "no list of that length" in refused(answer)


@pytest.mark.parametrize("flaw", ["null id", "id of before", "other values", "null flag"])
def test_an_empty_list_is_not_believed_beside_anything_like_a_row(flaw: str) -> None:
    answer = listing(0)
    answer.begin(ROW)
    answer.plain(0, 0, 0, 1, 0, 0, 1)
    answer.boolean(None if flaw == "null flag" else 1)
    answer.plain(0, 7 if flaw == "other values" else 0)
    if flaw == "null id":
        answer.plain(0)
    elif flaw == "id of before":
        answer.plain(-2)
    else:
        answer.boxed(LONG, ref(1))
    reasons = ("like a row", "no row has a flag", "most blocks hold other values")
    assert any(reason in refused(answer) for reason in reasons)


def test_a_second_list_of_such_rows_is_refused() -> None:
    answer = listing(2)
    answer.rows(2)
    answer.begin(LIST)
    answer.plain(1)
    answer.row(5)
    assert "3 blocks" in refused(answer)


def test_a_second_list_of_the_same_rows_is_refused() -> None:
    answer = listing(2)
    answer.rows(2)
    answer.begin(LIST)
    answer.plain(1, -4)
    assert refused(answer) == "there may be another list of the same rows"


def test_a_list_of_references_behind_the_rows_may_always_be_of_them() -> None:
    # The block that looks like the first of a list may stand in an object before it.
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.boxed("ru.example.State/3", 1)
    answer.begin(LIST)
    answer.plain(2)
    answer.rows(2)
    answer.begin(LIST)
    answer.plain(1, -2)
    assert refused(answer) == "there may be another list of the same rows"


def test_a_row_that_is_null_makes_the_list_longer_than_its_blocks() -> None:
    answer = listing(3)
    answer.row(0)
    answer.plain(0)
    answer.row(1)
    # A list within the last row declares as many as there are blocks.
    answer.begin(LIST)
    answer.plain(2, 0, 0)
    assert "no list of that length" in refused(answer)


def test_a_nested_list_that_happens_to_have_as_many_elements_is_not_the_rows() -> None:
    # Three rows, the first of them null; the second holds a list of two.
    answer = listing(3)
    answer.plain(0)
    answer.begin(ROW)
    answer.begin(LIST)
    answer.plain(1)
    answer.begin("ru.example.Tag/9")
    answer.text(phone(0))
    answer.core(ref(0), "1100")
    answer.plain(-4)
    assert refused(answer) == "the rows may be of a list of 3"


@pytest.mark.parametrize("kind", ["the same", "another"])
def test_rows_that_each_hold_a_second_block_are_refused(kind: str) -> None:
    answer = listing(2)
    for number in range(2):
        answer.row(number)
        answer.begin("ru.example.Twin/9")
        answer.plain(0, 0, 0, 0, 0, 0, 1)
        answer.boxed(
            "ru.example.State/3" if kind == "another" else "java.lang.Boolean/476441737", 1
        )
        answer.plain(0, 0)
        answer.boxed(LONG, ref(number + 50))
    reason = "blocks of several kinds" if kind == "another" else "4 blocks, but no list"
    assert reason in refused(answer)


@pytest.mark.parametrize("flaw", ["another class", "a long", "a fraction"])
def test_what_only_looks_like_a_row_is_none(flaw: str) -> None:
    answer = listing(3)
    for number in range(3):
        answer.begin(ROW)
        answer.plain(0, 0, 0, 0, 0, 0, 1)
        answer.boolean(1)
        answer.plain(0, "Bk" if flaw == "a long" else 0.0 if flaw == "a fraction" else 0)
        answer.boxed(DATE if flaw == "another class" else LONG, ref(number))
    reasons = (
        "something in the answer is like a row, and is no block",
        "no list of rows in the answer",
    )
    assert refused(answer) in reasons


@pytest.mark.parametrize(("rows", "flags"), [(4, 1), (5, 2), (4, 0)])
def test_rows_of_which_most_hold_no_flags_are_refused(rows: int, flags: int) -> None:
    answer = listing(rows)
    for number in range(rows):
        answer.row(number, eight=0 if number < flags else 7)
    refused(answer)


def test_rows_of_which_most_hold_flags_are_all_read() -> None:
    answer = listing(5)
    for number in range(5):
        answer.row(number, eight=0 if number < 3 else 7)
    records = read_page(answer.response()).records
    assert [record.pattern for record in records] == ["1100"] * 3 + ["1100+8=7"] * 2


@pytest.mark.parametrize("five", [8, 2, 30])
def test_what_stands_at_5_may_be_a_number_as_long_as_it_is_the_same(five: int) -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.plain(0, 0, 0, 0, 0, 0, 1, five, number, 0, 0)
        answer.boxed(LONG, ref(number))
    assert [record.pattern for record in read_page(answer.response()).records] == ["0100", "1100"]


def test_what_stands_at_5_must_be_the_same_in_all_rows() -> None:
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.plain(0, 0, 0, 0, 0, 0, 1, 8 + number, 1, 0, 0)
        answer.boxed(LONG, ref(number))
    assert "blocks of several kinds" in refused(answer)


def test_a_flag_that_is_null_is_told_from_one_that_is_0() -> None:
    answer = listing(3)
    for number, pattern in enumerate(("1100", "-100", "0011")):
        answer.row(number, pattern)
    records = read_page(answer.response()).records
    assert [record.pattern for record in records] == ["1100", "-100", "0011"]


def test_flags_that_are_null_in_all_rows_are_refused() -> None:
    answer = listing(2)
    answer.row(0, "-100")
    answer.row(1, "-000")
    assert refused(answer) == "no row has a flag at 4"


def test_a_null_flag_is_refused_where_the_flag_is_a_primitive() -> None:
    answer = listing(2)
    answer.begin(ROW)
    answer.plain(0, 0, 0, 0, 0, 0, 1, 30, 1, 0, 0)
    answer.boxed(LONG, ref(0))
    answer.row(1, "-100")
    assert "an object in some rows and a primitive in others" in refused(answer)


def test_a_list_before_the_rows_is_not_taken_for_theirs() -> None:
    answer = Answer()
    answer.begin("ru.example.Response/1")
    for length in (0, 3):
        answer.begin(LIST)
        answer.plain(length)
        for number in range(length):
            answer.begin("ru.example.Tag/9")
            answer.text(f"tag {number}")
    answer.begin(LIST)
    answer.plain(2)
    answer.rows(2)
    assert refs(answer) == [ref(0), ref(1)]


def test_a_row_that_comes_twice_is_missed_by_none_of_the_lists_it_holds() -> None:
    # Two elements, the second is the first one again; the list within declares one, as the blocks.
    answer = listing(2)
    answer.begin(ROW)
    answer.begin(LIST)
    answer.plain(1)
    answer.begin("ru.example.Tag/9")
    answer.begin(LIST)
    answer.plain(answer.index(ROW))  # a length that looks like the records' class
    for text in "abcd"[: answer.index(ROW)]:
        answer.boxed(STRING, answer.index(text))
    answer.core(ref(0), "1100")
    answer.plain(-4)
    assert refused(answer) == "the rows may be of a list of 2"


def test_one_row_is_not_believed_where_the_nearest_list_may_hold_it_twice() -> None:
    # A list of one tag, then that of the rows, of which the first begins with the number of its
    # class and seems to be two.
    answer = Answer()
    answer.begin("ru.example.Response/1")
    answer.begin(LIST)
    answer.plain(1)
    answer.begin("ru.example.Tag/9")
    answer.begin(LIST)
    answer.plain(2)
    answer.begin(ROW)
    answer.plain(answer.index("text"), answer.index(ROW))
    answer.core(ref(0), "1100")
    answer.plain(-5)
    assert refused(answer) == "the rows may be of a list of 2"


def test_a_row_that_comes_twice_is_not_made_up_for_by_a_second_block() -> None:
    answer = listing(3)
    answer.begin(ROW)
    answer.core(ref(0), "1100")
    answer.plain(0)
    answer.begin(ROW)
    answer.core(ref(1), "1100")
    answer.begin("ru.example.Twin/9")
    answer.plain(answer.index(ROW), 7)  # a number that looks like the records' class
    answer.core(ref(2), "0011")
    answer.plain(-4)
    assert "the records are not alike" in refused(answer)


def test_a_row_that_is_certainly_referred_to_behind_the_rows_may_come_twice() -> None:
    # One block stands in a record; the number of their class before the other is a field's.
    answer = listing(2)
    answer.row(0)
    answer.plain(answer.index(ROW))
    answer.text(phone(1))
    answer.core(ref(1), "1100")
    answer.plain(-4)
    assert refused(answer) == "one of the rows may come twice"


@pytest.mark.parametrize("second", ["a text", "an object of Java", "a long", "a number", "nothing"])
def test_rows_whose_records_begin_unlike_each_other_are_refused(second: str) -> None:
    answer = listing(2)
    answer.begin(ROW)
    answer.begin("ru.example.Tag/9")
    answer.core(ref(0), "1100")
    answer.begin(ROW)
    if second == "a text":
        answer.text("a text")
    elif second == "an object of Java":
        answer.boxed(DATE, "Yz")
    elif second == "a long":
        answer.plain("Yz")
    elif second == "a number":
        answer.plain(99)
    answer.core(ref(1), "1100")
    assert "the records are not alike" in refused(answer)


def test_rows_that_end_unlike_each_other_are_refused() -> None:
    answer = listing(3)
    for number in range(3):
        answer.row(number)
        answer.plain("Yz" if number == 1 else 99)
    assert "the records are not alike" in refused(answer)


def test_two_lists_are_not_taken_for_one_that_a_list_within_counts() -> None:
    # As many elements in each record's own list as there are rows in both lists.
    answer = listing(1)
    for number in range(2):
        if number:
            answer.begin(LIST)
            answer.plain(1)
        answer.begin(ROW)
        answer.begin(LIST)
        answer.plain(2)
        for _ in range(2):
            answer.begin("ru.example.Tag/9")
        answer.core(ref(number), "1100")
    assert refused(answer) == "the rows may be of a shorter list"


def test_a_number_that_looks_like_the_records_class_hides_no_row() -> None:
    answer = listing(7)
    for number in range(7):
        answer.begin(ROW)
        answer.plain(answer.index(ROW))
        answer.core(ref(number), "1100")
        answer.plain(answer.index(ROW))
    assert refs(answer) == [ref(number) for number in range(7)]


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
