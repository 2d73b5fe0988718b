"""Objects are read by the script's classes exactly, or there is one error that says where."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.gwt import (
    Fields,
    GwtObject,
    Kind,
    NotUnderstood,
    ObjectReader,
    ObjectsError,
    Repeat,
    Response,
    ResponseWriter,
    letters_of,
)

ROW = "ru.example.Row/1"
NODE = "ru.example.Node/2"
STATE = "ru.example.State/3"
STRING = "java.lang.String/2004016611"
LONG = "java.lang.Long/4227064769"
LIST = "java.util.ArrayList/4159755760"
MAP = "java.util.HashMap/1797211028"
BYTES = "[B/3308590456"
ROWS = "[Lru.example.Row;/4"

CLASSES: dict[str, Fields | NotUnderstood | None] = {
    STRING: (Kind.STRING,),
    LONG: (Kind.LONG,),
    STATE: (Kind.ENUM,),
    LIST: (Kind.NUMBER, Repeat((Kind.OBJECT,))),
    MAP: (Kind.NUMBER, Repeat((Kind.OBJECT, Kind.OBJECT))),
    BYTES: (Kind.NUMBER, Repeat((Kind.NUMBER,))),
    ROWS: (Kind.NUMBER, Repeat((Kind.OBJECT,))),
    ROW: (Kind.STRING, Kind.BOOLEAN, Kind.LONG, Kind.NUMBER),
    NODE: (Kind.OBJECT, Kind.STRING, Kind.OBJECT),
    "ru.example.Odd/5": NotUnderstood("a loop"),
    "ru.example.Sent/6": None,
}


def response(tokens: list[int | float | str], strings: list[str]) -> Response:
    return Response("OK", 7, 0, strings, tokens[::-1])


def plain(value: object) -> object:
    """Objects as their class's name and values."""
    if isinstance(value, GwtObject):
        return value.type.name.rpartition(".")[2], *map(plain, value.values)
    return [*map(plain, value)] if isinstance(value, list) else value


def read(tokens: list[int | float | str], *strings: str) -> object:
    return plain(ObjectReader(CLASSES).read(response(tokens, list(strings))))


def test_fields_are_read_in_the_order_of_the_wire() -> None:
    assert read([1, 2, 1, "CaLztv", -7], ROW, "Пётр") == ("Row", "Пётр", 1, "CaLztv", -7)
    assert read([1, 0, 0, "A", 2.5], ROW) == ("Row", None, 0, "A", 2.5)


def test_null_is_no_object() -> None:
    assert read([0]) is None


def test_a_reference_is_the_object_itself() -> None:
    root = ObjectReader(CLASSES).read(response([1, 2, "A", 0, -2], [NODE, LONG]))
    assert root.values[0] is root.values[2]


def test_an_object_can_be_referred_to_from_its_own_fields() -> None:
    root = ObjectReader(CLASSES).read(response([1, -1, 0, 0], [NODE]))
    assert root.values[0] is root


def test_a_class_is_one_object_in_all_answers_and_under_any_number() -> None:
    reader = ObjectReader(CLASSES)
    _, elements = reader.read(response([1, 2, 2, 0, 3, 0], [LIST, STRING, STRING])).values
    later = reader.read(response([1, 0], [STRING]))
    assert elements[0].type is elements[1].type is later.type


def test_collections_and_arrays_hold_as_many_as_they_say() -> None:
    assert read([1, 2, 0, 2, 0], LIST, STRING) == ("ArrayList", 2, [None, ("String", None)])
    assert read([1, 3, 7, 8, 9], BYTES) == ("[B", 3, [7, 8, 9])
    assert read([1, 1, 2, 3, 0], MAP, STRING, "key") == ("HashMap", 1, [("String", "key"), None])
    assert read([1, 0], ROWS) == ("Row;", 0, [])


@pytest.mark.parametrize(
    ("tokens", "strings", "where", "message"),
    [
        ([1, 2, 1, "A"], [ROW, "x"], 1, "do not fit"),
        ([1, 2, 2, "A", 0], [ROW, "x"], 1, "do not fit"),
        ([1, 2, 1, 5, 0], [ROW, "x"], 1, "do not fit"),
        ([1, 3, 1, "A", 0], [ROW, "x"], 1, "do not fit"),
        ([1, 0, 1, "A", "A"], [ROW], 1, "do not fit"),
        ([1, -1], [STATE], 1, "do not fit"),
        ([1, 0, 0, "A", 0, 7], [ROW], 5, "1 tokens are left over"),
        ([1, 0, 0], [NODE], 3, "ends within an object"),
        ([], [], 0, "ends within an object"),
        (["A"], [], 0, "not a long or a fraction"),
        ([1.0], [LONG], 0, "not a long or a fraction"),
        ([-1], [], 0, "refers to no object"),
        ([1, -2, 0, 0], [NODE], 1, "refers to no object"),
        ([1, 5, 0], [LIST], 2, "has no count"),
        ([1, -1], [LIST], 2, "has no count"),
        ([1, 1.0, 0], [LIST], 2, "has no count"),
        ([2], [ROW], 0, "string 2 is no class"),
    ],
)
def test_tokens_that_do_not_fit_are_refused_with_their_place(
    tokens: list[int | float | str], strings: list[str], where: int, message: str
) -> None:
    with pytest.raises(ObjectsError, match=message) as caught:
        read(tokens, *strings)
    assert (caught.value.where, caught.value.missing) == (where, "")


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("ru.example.New/7", "ru.example.New/7 is not in the script"),
        ("ru.example.Sent/6", "ru.example.Sent/6 is not read by the script"),
        ("ru.example.Odd/5", "ru.example.Odd/5 is not understood: a loop"),
    ],
)
def test_a_class_that_the_script_does_not_tell_is_named(signature: str, message: str) -> None:
    with pytest.raises(ObjectsError) as caught:
        read([1, 2], NODE, signature)
    assert str(caught.value) == message
    assert (caught.value.where, caught.value.missing) == (1, signature)


def test_a_text_where_a_class_was_due_reaches_no_message() -> None:
    with pytest.raises(ObjectsError) as caught:
        read([1, 2], NODE, "p4ssw0rd")
    assert str(caught.value) == "string 2 is no class"
    assert caught.value.missing == ""


def test_a_table_that_is_wrong_of_javas_own_classes_is_not_believed() -> None:
    lying = {**CLASSES, STRING: (Kind.STRING, Kind.STRING)}
    with pytest.raises(ObjectsError, match=r"java\.lang\.String"):
        ObjectReader(lying).read(response([1, 2, 2], [STRING, "x"]))


def test_objects_within_objects_without_end_are_refused() -> None:
    depth = 100_000
    with pytest.raises(ObjectsError, match="too deep"):
        read([1] * depth, NODE)


def test_the_letters_tell_what_a_token_can_be() -> None:
    assert letters_of(["A", 1.0, -1, 0, 1, 2, 3, 4], 3) == "sf-01iin"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_a_server_writes_is_read_as_it_was(data: st.DataObject) -> None:
    writer = ResponseWriter()
    expected = write(writer, data, 3)
    assert plain(ObjectReader(CLASSES).read(writer.finish())) == expected


def write(writer: ResponseWriter, data: st.DataObject, depth: int) -> object:
    """Write any object, and say what it is."""
    compound = {"node": write_node, "list": write_several, "map": write_several}
    leaves = ["null", "row", "string", "state", "bytes"]
    choice = data.draw(st.sampled_from([*leaves, *compound] if depth else leaves))
    if choice in compound:
        return compound[choice](writer, data, depth - 1, choice)
    if choice == "null":
        writer.write_number(0)
        return None
    if choice == "row":
        writer.write_object(ROW)
        text, number = data.draw(st.sampled_from([None, "x"])), data.draw(st.integers(-3, 9))
        writer.write_string(text)
        writer.write_number(True)
        writer.write_long(5)
        writer.write_number(number)
        written: object = ("Row", text, 1, "F", number)
    elif choice == "string":
        writer.write_object(STRING)
        writer.write_string(ROW)  # a text that looks like a class
        written = ("String", ROW)
    elif choice == "state":
        if writer.write_object(STATE, share="state"):
            writer.write_number(2)
        written = ("State", 2)
    else:
        numbers = data.draw(st.lists(st.integers(-9, 9), max_size=3))
        writer.write_object(BYTES)
        for number in (len(numbers), *numbers):
            writer.write_number(number)
        written = ("[B", len(numbers), numbers)
    return written


def write_node(writer: ResponseWriter, data: st.DataObject, depth: int, _: str) -> object:
    writer.write_object(NODE)
    first = write(writer, data, depth)
    writer.write_string("node")
    return "Node", first, "node", write(writer, data, depth)


def write_several(writer: ResponseWriter, data: st.DataObject, depth: int, kind: str) -> object:
    count = data.draw(st.integers(0, 3))
    writer.write_object(LIST if kind == "list" else MAP)
    writer.write_number(count)
    elements = [write(writer, data, depth) for _ in range(count * (1 + (kind == "map")))]
    return "ArrayList" if kind == "list" else "HashMap", count, elements


TOKENS = st.lists(
    st.one_of(st.integers(-6, 14), st.sampled_from(["A", "Zz"]), st.floats(0, 3)), max_size=40
)


@settings(max_examples=300, deadline=None)
@given(tokens=TOKENS, strings=st.lists(st.sampled_from([*CLASSES, "x"]), max_size=8))
def test_any_tokens_give_an_object_or_one_error(
    tokens: list[int | float | str], strings: list[str]
) -> None:
    try:
        ObjectReader(CLASSES).read(response(tokens, strings))
    except ObjectsError as error:
        assert error.where is not None  # noqa: PT017 - the place is what is promised


def test_the_fields_of_a_class_are_equal_by_value_and_can_be_a_key() -> None:
    one, other = ((Kind.NUMBER, Repeat((Kind.OBJECT,))) for _ in range(2))
    assert {one: "plan"}[other] == "plan"


def test_what_is_repeated_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Repeat(()).fields = ()  # type: ignore[misc]


def test_runs_of_fields_that_are_ever_different_take_no_more_and_no_more_memory() -> None:
    kinds = (Kind.NUMBER,) * 7
    reader = ObjectReader({ROW: kinds})
    for number in range(6**7 // 100):
        values = [(0, 1, 2, 9, -1, 1.5)[number // 6**at % 6] for at in range(7)]
        root = reader.read(response([1, *values], [ROW, "x"]))
        assert root.values == values
    with pytest.raises(ObjectsError, match="do not fit"):
        reader.read(response([1, *([0] * 6), "A"], [ROW]))
    (run,) = root.type.steps
    assert 0 < run.fits.cache_info().currsize <= 1000
