import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.gwt import (
    BoxedClass,
    ClassDescription,
    EnumClass,
    EnumConstant,
    GwtError,
    Primitive,
    Record,
    RecordClass,
    Request,
    RequestError,
    RequestReader,
    Value,
    decode,
    parse_request,
)

WIRE = Path(__file__).parent.parent / "wire"
RECORDED: list[dict[str, Any]] = json.loads((WIRE / "requests.json").read_text("utf-8"))["requests"]
INCOMPATIBLE = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"

LONG, BOOLEAN = "java.lang.Long", "java.lang.Boolean"
LIST_REQUEST = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRequestGWTModel"
MIGRATION = "ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE"
DISPATCHER = "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER"
LIST_POLICY = "3D7E196DA92A574D98BAC0DEE7D909C8"

CLASSES: dict[str, ClassDescription] = {
    LONG: BoxedClass("4227064769", Primitive.LONG),
    BOOLEAN: BoxedClass("476441737", Primitive.BOOLEAN),
    MIGRATION: EnumClass("1556569729", constants=3),
    DISPATCHER: EnumClass("4095484021", constants=40),
    LIST_REQUEST: RecordClass(
        "3482149540",
        {
            "field1": LIST_REQUEST,
            "field2": BOOLEAN,
            "field3": LIST_REQUEST,
            "deleted": BOOLEAN,
            "field5": MIGRATION,
            **{f"field{number}": LONG for number in range(6, 12)},
        },
    ),
}


def _read(payload: str) -> tuple[RequestReader, list[Value]]:
    reader = RequestReader(parse_request(payload), CLASSES)
    return reader, reader.read_parameters()


def _plain(value: Value) -> object:
    """Write a value as requests.json does."""
    if isinstance(value, EnumConstant):
        return f"{value.class_name.rpartition('.')[2].rpartition('$')[2]} #{value.ordinal}"
    if isinstance(value, Record):
        values = value.fields.values()
        return {f"field{number}": _plain(field) for number, field in enumerate(values, 1)}
    return value


@pytest.mark.parametrize("recorded", [r for r in RECORDED if "parameters" in r])
def test_a_recorded_request_means_what_google_s_decoder_understood(recorded: Any) -> None:
    reader, parameters = _read(recorded["payload"])
    assert reader.method == recorded["method"]
    understood = [_plain(value) for value in parameters]
    assert understood == recorded["parameters"]
    assert [type(value) for value in understood] == [type(v) for v in recorded["parameters"]]


@pytest.mark.parametrize("recorded", [r for r in RECORDED if "refused_with" in r])
def test_a_recorded_request_is_refused_in_the_words_of_google_s_decoder(recorded: Any) -> None:
    with pytest.raises(RequestError) as caught:
        _read(recorded["payload"])
    assert caught.value.class_name == recorded["refused_with"]
    assert caught.value.message == recorded["message"]


def test_the_names_in_a_request_are_read_before_its_parameters() -> None:
    reader = RequestReader(parse_request(RECORDED[0]["payload"]), CLASSES)
    assert reader.module_base == "https://vpbx.mts.ru/vpbxGwt/"
    assert reader.policy == LIST_POLICY
    assert reader.service == "ru.cti.vpbx.shared.services.AbonentBrowserGwtService"
    assert reader.method == "list"
    assert reader.parameter_types == (LIST_REQUEST,)


@pytest.mark.parametrize("name", ["policy", "type", "method"])
def test_a_stale_request_is_refused_as_in_the_capture(name: str) -> None:
    capture = WIRE / f"ex_incompatible_{name}"
    request = parse_request(json.loads(capture.with_suffix(".json").read_text("utf-8"))["request"])
    answer = decode(capture.with_suffix(".txt").read_bytes())
    known = ["21569811FFF8DC732A4EE4D289FA66D3"]  # as the requests of the other two have it
    reader = RequestReader(request, CLASSES, policies=known)
    if name == "method":
        error = reader.method_not_found()
    else:
        with pytest.raises(RequestError) as caught:
            reader.read_parameters()
        error = caught.value
    assert error.class_name == answer.exception_class
    assert error.message == answer.string_table[1]


def test_plain_java_types_are_read_under_a_stale_policy() -> None:
    recorded = next(r for r in RECORDED if r.get("method") == "setEnabled")
    reader = RequestReader(parse_request(recorded["payload"]), CLASSES, policies=[])
    assert reader.read_parameters() == recorded["parameters"]


def _call(strings: list[str], types: list[int], *tokens: object, version: int = 7) -> list[Value]:
    """Read a call whose strings from the third on are given."""
    stream = [0, 0, 1, 2, len(types), *types, *tokens]
    request = Request(version, 0, ("Service", "method", *strings), tuple(map(str, stream)))
    return RequestReader(request, CLASSES).read_parameters()


def test_primitives_are_read_by_their_letters() -> None:
    strings = ["Z", "I", "J", "D", "java.lang.String/2004016611", "text"]
    values = _call(strings, [3, 4, 5, 6, 7, 7], 1, -5, "Bk", "1.5E-7", 8, 0)
    assert values == [True, -5, 100, 1.5e-7, "text", None]


@pytest.mark.parametrize(
    ("halves", "value"),
    [
        (("100.0", "0.0"), 100),
        (("4294967295.0", "-4294967296.0"), -1),
        (("NaN", "Infinity"), (1 << 63) - 1),
        (("-Infinity", "NaN"), -(1 << 63)),
        (("1e30", "0.0"), (1 << 63) - 1),
        (("-1e30", "0.9"), -(1 << 63)),
        (("9223372036854774784.0", "0.0"), (1 << 63) - 1024),
        (("1e30", "1.0"), -(1 << 63)),
        (("-1e30", "-1.0"), (1 << 63) - 1),
    ],
)
def test_longs_of_version_5_are_sums_of_doubles(halves: tuple[str, str], value: int) -> None:
    assert _call(["J"], [3], *halves, version=5) == [value]


def test_an_object_may_refer_to_the_one_it_is_in() -> None:
    tokens = [4, -1, *[0] * 10]
    (record,) = _call([LIST_REQUEST, f"{LIST_REQUEST}/3482149540"], [3], *tokens)
    assert isinstance(record, Record)
    assert record.fields["field1"] is record


@pytest.mark.parametrize(
    ("strings", "tokens", "class_name", "message"),
    [
        ([LONG, f"{LONG}/1"], [4, "A"], INCOMPATIBLE, f"Invalid type signature for {LONG}"),
        ([LONG, LONG], [4, "A"], INCOMPATIBLE, f"Missing type signature for {LONG}"),
        ([LONG, "a.B/1"], [4], INCOMPATIBLE, "java.lang.ClassNotFoundException: a.B"),
        (["a.B/1"], [], INCOMPATIBLE, "Parameter 0 of is of an unknown type 'a.B'"),
        (
            [LONG, f"{BOOLEAN}/476441737"],
            [4, 1],
            INCOMPATIBLE,
            f"of type class {BOOLEAN} when an object of type class {LONG} is expected",
        ),
        (
            [LONG],
            [-1],
            "java.lang.IndexOutOfBoundsException",
            "Index 0 out of bounds for length 0",
        ),
        (
            [LONG],
            [9],
            "java.lang.ArrayIndexOutOfBoundsException",
            "Index 8 out of bounds for length 3",
        ),
        (
            [MIGRATION, f"{MIGRATION}/1556569729"],
            [4, -1],
            "java.lang.ArrayIndexOutOfBoundsException",
            "Index -1 out of bounds for length 3",
        ),
        (["D"], ["1_0"], "java.lang.NumberFormatException", 'For input string: "1_0"'),
        (["J"], ["Ca-L"], "java.lang.IllegalArgumentException", "foreign character"),
        (["I"], ["A"], "java.lang.NumberFormatException", "a non-numerical value: A"),
        (["J"], [], INCOMPATIBLE, "Too few tokens in RPC request"),
        (["I"], [], INCOMPATIBLE, "Too few tokens in RPC request"),
    ],
)
def test_a_faulty_parameter_meets_the_exception_of_google_s_server(
    strings: list[str], tokens: list[object], class_name: str, message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        _call(strings, [3], *tokens)
    assert caught.value.class_name == class_name
    if class_name == INCOMPATIBLE and "type class" not in message:
        assert caught.value.message == message
    assert message in caught.value.message


def test_a_reference_to_an_object_of_another_class_is_no_argument() -> None:
    with pytest.raises(RequestError, match="invalid arguments") as caught:
        _call([LONG, BOOLEAN, f"{LONG}/4227064769"], [3, 4], 5, "A", -1)
    assert caught.value.class_name == "java.lang.SecurityException"


OUT_OF_DATE = "This application is out of date, please click the refresh button on your browser."


@pytest.mark.parametrize(
    ("count", "class_name", "message"),
    [
        # As many as there are tokens, strings and the three numbers before them may be there.
        (11, INCOMPATIBLE, f"{OUT_OF_DATE} ( Invalid number of parameters )"),
        (10, INCOMPATIBLE, "Too few tokens in RPC request"),
        (-1, "java.lang.NegativeArraySizeException", "-1"),
    ],
)
def test_an_impossible_number_of_parameters_is_refused(
    count: int, class_name: str, message: str
) -> None:
    request = Request(7, 0, ("S", "m"), ("0", "0", "1", "2", str(count)))
    with pytest.raises(RequestError) as caught:
        RequestReader(request, CLASSES)
    assert caught.value.class_name == class_name
    assert caught.value.message == message


def test_a_method_may_have_no_parameters() -> None:
    reader = RequestReader(Request(7, 0, ("S", "m"), ("0", "0", "1", "2", "0")), CLASSES)
    assert reader.parameter_types == ()
    assert reader.read_parameters() == []


def test_an_object_may_be_null() -> None:
    assert _call([LONG, BOOLEAN], [3, 4], 0, 0) == [None, None]


def test_names_that_are_null_are_empty() -> None:
    reader = RequestReader(Request(7, 0, (), ("0", "0", "0", "0", "0")), CLASSES)
    assert (reader.module_base, reader.policy) == (None, None)
    assert (reader.service, reader.method) == ("", "")


def test_a_method_that_is_not_found_is_told_with_its_parameters() -> None:
    request = Request(7, 0, ("S", "m", "I", LONG), ("0", "0", "1", "2", "2", "3", "4"))
    error = RequestReader(request, CLASSES).method_not_found()
    assert error.class_name == INCOMPATIBLE
    assert error.message == (
        f"{OUT_OF_DATE} ( Could not locate requested method 'm(int, {LONG})' in interface 'S' )"
    )


def test_fields_may_be_primitives() -> None:
    name = "ru.example.Point"
    fields = {"x": Primitive.INT, "label": Primitive.STRING, "shown": Primitive.BOOLEAN}
    stream = ("0", "0", "1", "2", "1", "3", "4", "-7", "5", "1")
    request = Request(7, 0, ("S", "m", name, f"{name}/1", "север"), stream)
    reader = RequestReader(request, {name: RecordClass("1", fields)})
    assert reader.read_parameters() == [Record(name, {"x": -7, "label": "север", "shown": True})]


def test_objects_nested_too_deep_overflow_the_server_s_stack() -> None:
    with pytest.raises(RequestError, match=r"^objects within objects too deep$") as caught:
        _call([LIST_REQUEST, f"{LIST_REQUEST}/3482149540"], [3], *[4] * 100_000)
    assert caught.value.class_name == "java.lang.StackOverflowError"


def test_an_unknown_service_is_named() -> None:
    reader = RequestReader(parse_request(RECORDED[0]["payload"]), CLASSES)
    assert reader.service in reader.service_not_found().message


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([r["payload"] for r in RECORDED]),
    st.integers(0, 60),
    st.sampled_from(["0", "1", "-1", "-3", "8", "99", "", "A", "1.5", "-99999999999"]),
)
def test_a_damaged_request_is_a_value_or_a_protocol_error(
    payload: str, index: int, put: str
) -> None:
    tokens = payload.split("|")
    tokens[index % len(tokens)] = put
    try:
        _read("|".join(tokens))
    except GwtError:
        return
