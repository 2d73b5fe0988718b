"""A page is read by the script's classes and by its rows' block, and never wrong."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cabinet.answers import (
    CORE,
    RESPONSE,
    ROW,
    Answer,
    listing,
    phone,
    ref,
    start_list,
    table,
)
from tests.cabinet.layouts import (
    BOOLEAN,
    DATE,
    HARD,
    INTEGER,
    LIST,
    LONG,
    MAP,
    STRING,
    draw,
)
from tests.corpus import measure, shapes
from vats_exporter.cabinet.errors import TableError, UndecodableError
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import ClassTable, guess_total, read_by_script, read_page
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.gwt import Response, decode, letters_of

if TYPE_CHECKING:
    from vats_exporter.cabinet.reading import Page

WIRE = Path(__file__).parents[1] / "wire"
LISTS = sorted(
    path.stem for path in WIRE.glob("list_*.json") if json.loads(path.read_text())["rows"]
)
# The truth of a server that shares its Booleans gives no digits of the rows, only their flags.
WITH_DIGITS = [name for name in LISTS if name != "list_shared_boolean"]


def truth(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def read_capture(name: str) -> Page:
    return read_page(decode((WIRE / f"{name}.txt").read_bytes()))


@pytest.mark.parametrize("name", LISTS)
def test_every_capture_gives_the_rows_of_its_truth(name: str) -> None:
    expected = truth(name)
    page = read_capture(name)
    trunks, _ = make_trunks([page], FlagPositions())
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
    assert len(page.records) == expected["row_count"]
    assert page.total == expected["total"]
    assert page.longs == ("CbwhyN",)


@pytest.mark.parametrize("name", WITH_DIGITS)
def test_a_pattern_is_the_row_core_at_the_varying_positions(name: str) -> None:
    expected: Counter[str] = Counter()
    for row in truth(name)["rows"]:
        values = row["core"].split(",")
        expected["".join(values[position] for position in (4, 6, 7, 9))] += 1
    trunks, _ = make_trunks([read_capture(name)], FlagPositions())
    assert Counter(trunk.pattern for trunk in trunks) == expected
    assert {trunk.pattern for trunk in trunks if trunk.known} <= {"1100", "0011"}


def test_an_empty_page_has_no_rows_and_still_tells_the_total() -> None:
    page = read_capture("list_empty")
    assert (page.records, page.total) == ((), 237)


@pytest.mark.parametrize("name", ["getform31", "getform32", "setenabled", "ex_application"])
def test_an_answer_without_a_list_of_subscribers_is_refused(name: str) -> None:
    with pytest.raises(UndecodableError):
        read_capture(name)


def test_pages_are_read_together() -> None:
    pages = [read_capture(name) for name in ("list_page100", "list_last_short", "list_empty")]
    trunks, _ = make_trunks(pages, FlagPositions())
    rows = truth("list_page100")["rows"] + truth("list_last_short")["rows"]
    assert [trunk.phone for trunk in trunks] == [row["phone"] for row in rows]
    assert [trunk.name for trunk in trunks] == [row["name"] for row in rows]


@pytest.mark.parametrize(("corpus", "least"), [("random", 0.98), ("single", 1), ("hard", 0.6)])
def test_without_a_script_nearly_all_answers_are_read_and_none_is_wrong(
    corpus: str, least: float
) -> None:
    counts = measure(corpus, by_script=False)
    assert counts["wrong"] == counts["phones wrong"] == 0
    assert counts["right"] >= least * counts["answers"]
    assert counts["phones right"] >= 0.95 * counts["phones"]


@pytest.mark.parametrize(("corpus", "least"), [("random", 1), ("single", 1), ("hard", 0.85)])
def test_with_the_scripts_classes_all_answers_are_read_and_none_is_wrong(
    corpus: str, least: float
) -> None:
    counts = measure(corpus, by_script=True)
    assert counts["wrong"] == 0
    assert counts["right"] >= least * counts["answers"]
    assert counts["phones right"] == counts["phones"]


def test_classes_of_another_release_do_not_fit_and_are_no_table_to_read_by() -> None:
    misfits = 0
    both_styles = list(shapes("random"))
    for older, newer in zip(both_styles[::2], both_styles[1::2], strict=True):
        for shape, classes in ((older, newer.classes), (newer, older.classes)):
            if shape.classes is None and classes is not None:
                misfits += 1
                with pytest.raises(TableError):
                    read_page(shape.response, ClassTable(classes))
    assert misfits


SEEDS = st.integers(0, 2**48)
TWO_AT_ONCE = [
    *((), *((one,) for one in HARD)),
    # A row that comes twice is one block less, and a second block in its stead one more.
    *(pair for pair in combinations(HARD, 2) if pair != ("second block", "row twice")),
]


@settings(max_examples=400, deadline=None)
@example(seed=1003444, hard=("row twice",))
@example(seed=1000732, hard=("row twice", "null row"))
@example(seed=1002309, hard=("null flag", "second block"))
@example(seed=1003642, hard=("null flag", "second block"))
@example(seed=1002512, hard=("second block", "null row"))
@example(seed=5003407, hard=("mixed flag", "second block", "null row"))
@example(seed=1004612, hard=("second list", "null row"))
@example(seed=5000037, hard=("second list", "null row"))
@example(seed=5018264, hard=("second list", "row twice", "null row"))
@given(seed=SEEDS, hard=st.sampled_from(TWO_AT_ONCE))
def test_whatever_an_answer_is_made_of_no_row_is_read_wrong(
    seed: int, hard: tuple[str, ...]
) -> None:
    layout = draw(Random(seed), hard)
    expected = [(ref, [*map(bool, values)]) for ref, values in layout.rows]
    for told in (None, ClassTable(layout.classes)):
        try:
            page = read_page(layout.response, told)
        except TableError:
            raise
        except UndecodableError:
            continue
        assert [(row.ref, [*map(bool, row.values)]) for row in page.records] == expected


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS, hard=st.sampled_from([kind for kind in HARD if kind != "null flag"]))
def test_a_row_whose_id_is_null_refuses_the_page_by_the_script(seed: int, hard: str) -> None:
    layout = draw(Random(seed), (hard, "null id"))
    if any(not ref for ref, _ in layout.rows):
        with pytest.raises(UndecodableError):
            read_page(layout.response, ClassTable(layout.classes))


def test_another_long_does_not_take_the_place_of_an_id_that_is_null() -> None:
    answer = listing(1)
    answer.begin(ROW)
    answer.plain(0, 0, 0, 0, 0, 0, 1)
    answer.boolean(1)
    answer.plain(0, 0, 0)
    answer.core(ref(50), "1100")
    with pytest.raises(UndecodableError, match="holds 2 blocks"):
        read(answer, table(row=CORE + CORE))


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS)
def test_what_the_user_described_is_always_read_by_the_script(seed: int) -> None:
    layout = draw(Random(seed))
    page = read_page(layout.response, ClassTable(layout.classes))
    assert page.read_by == "script"
    assert [(row.ref, row.values) for row in page.records] == layout.rows


def test_a_page_says_by_what_it_was_read() -> None:
    answer = listing(2)
    answer.rows(2)
    by_script = read_page(answer.response(), table())
    by_block = read_page(answer.response(), not_by_script="why")
    assert (by_script.read_by, by_script.not_by_script) == ("script", "")
    assert (by_block.read_by, by_block.not_by_script) == ("block", "why")
    assert by_script.records == by_block.records
    assert by_script.longs == by_block.longs == ("CbwhyN",)
    assert by_script.answer_class == by_block.answer_class == RESPONSE


def test_a_class_that_the_script_lacks_is_named() -> None:
    answer = listing(2)
    answer.rows(2)
    answer.boxed("ru.example.State/3", 1)
    with pytest.raises(TableError) as caught:
        read_page(answer.response(), table("ooo"))
    assert caught.value.missing == "ru.example.State/3"
    assert str(caught.value).startswith("ru.example.State/3 is not in the script, token ")


def test_a_table_that_leaves_tokens_over_does_not_fit() -> None:
    answer = listing(2)
    answer.rows(2)
    answer.plain(2)
    with pytest.raises(TableError, match="1 tokens are left over") as caught:
        read_page(answer.response(), table())
    assert caught.value.missing == ""


def rows_with_a_parent() -> Answer:
    """A list of three: a row with its parent inside, another row, and the first one again.

    The number before the list may be a class, so that which object the last one is is not certain.
    """
    answer = Answer()
    answer.begin(RESPONSE)
    answer.boxed(LONG, "CbwhyN")
    answer.plain(answer.index(LONG))
    answer.begin(LIST)
    answer.plain(3)
    answer.row(0)
    answer.row(1)
    answer.plain(0)
    answer.row(2)
    answer.plain(0, -4)
    return answer


def test_two_readings_that_differ_refuse_the_page_and_both_are_named() -> None:
    with pytest.raises(UndecodableError) as caught:
        read_page(rows_with_a_parent().response(), table("ono", row="s" + CORE + "o"))
    assert str(caught.value) == (
        "by the script the list has 3 rows, by their block 3; "
        f"row 2 is {ref(2)} 1100, or {ref(1)} 1100"
    )


def test_where_no_class_holds_a_row_its_block_is_believed_and_said_to_be() -> None:
    # The block stands across two classes: seven flags end one, and the others begin the next.
    answer = listing(2)
    for number in range(2):
        answer.begin(ROW)
        answer.begin("ru.example.Flags/3")
        answer.core(ref(number), "1100")
    page = read_page(answer.response(), table(row="oobbo", **{"ru.example.Flags/3": "bbbbbbb"}))
    assert [record.ref for record in page.records] == [ref(0), ref(1)]
    assert page.read_by == "block"
    assert page.not_by_script == "no class in the answer holds a row"


@pytest.mark.parametrize("script", [False, True])
def test_an_answer_that_is_no_object_is_refused(script: bool) -> None:
    for response in (Response("OK", 7, 0, [], []), Response("OK", 7, 0, ["x"], [0])):
        with pytest.raises(UndecodableError):
            read_page(response, table() if script else None)


TOKENS = st.lists(
    st.one_of(st.integers(-20, 20), st.sampled_from(["CaLztv", "A"]), st.floats(0, 9)), max_size=80
)
STRINGS = st.lists(
    st.sampled_from([BOOLEAN, LONG, LIST, ROW, "[Lru.example.Row;/3", RESPONSE, "x"]), max_size=8
)


@settings(max_examples=300, deadline=None)
@given(tokens=TOKENS, strings=STRINGS, script=st.booleans())
def test_any_tokens_give_a_page_or_one_error(
    tokens: list[int | float | str], strings: list[str], script: bool
) -> None:
    try:
        page = read_page(Response("OK", 7, 0, strings, tokens), table() if script else None)
        make_trunks([page], FlagPositions())
    except UndecodableError:
        pass


@pytest.mark.parametrize("tokens", [[1, 3], [3, 3, 1], [0, 3], [0, 1, 2], [-1, 2, 1]])
def test_an_answer_made_to_be_ambiguous_is_given_up_in_linear_time(tokens: list[int]) -> None:
    # Each token could begin a list of as many elements as there are tokens.
    strings = [LIST, f"{LIST}1", ROW]
    with pytest.raises(UndecodableError):
        read_page(Response("OK", 7, 0, strings, [*tokens * 20_000, 3, 2, 1]))


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


@pytest.mark.parametrize(
    ("tail", "total"), [([237], 237), ([0, 237, 1], 237), ([], None), ([40, 237], None)]
)
def test_a_number_behind_the_rows_may_be_the_total(tail: list[int], total: int | None) -> None:
    answer = Answer()
    start_list(answer, 2)
    answer.rows(2)
    answer.plain(*tail)
    assert read_page(answer.response()).total == total


# -- by the script alone

TAG = "ru.example.Tag/9"
STATE = "ru.example.State/3"


def read(answer: Answer, told: ClassTable) -> Page | None:
    response = answer.response()
    return read_by_script(response, told, letters_of(response.tokens, len(response.string_table)))


def patterns(page: Page | None) -> list[str]:
    assert page is not None
    return [record.pattern for record in page.records]


def refused(answer: Answer, told: ClassTable) -> str:
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
    trunks, _ = make_trunks([page], FlagPositions())
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
    assert (page.records, page.total, page.read_by) == ((), 237, "script")


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


def test_a_phone_and_a_name_may_stand_in_objects_within_the_record() -> None:
    names = ["Иванов Пётр", "Ли Анна", "Ким Ольга", "Юн Борис", "Цой Вера"]
    contact, person = "ru.example.Contact/8", "ru.example.Person/9"
    answer = listing(5)
    for number in Random(3).sample(range(5), 5):
        answer.begin(ROW)
        answer.begin(contact)
        answer.begin(person)
        answer.boxed(STRING, answer.index(names[number]))
        answer.plain(number)
        answer.text(phone(number))
        answer.core(ref(number), "1100")
    told = table(row="o" + CORE, **{contact: "ons", person: "o"})
    trunks, _ = make_trunks([read_page(answer.response(), told)], FlagPositions())
    assert {(trunk.ref, trunk.phone, trunk.name) for trunk in trunks} == {
        (ref(number), phone(number), names[number]) for number in range(5)
    }
