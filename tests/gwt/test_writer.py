import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vats_exporter.gwt import (
    GWT_2_7,
    GWT_2_13,
    Response,
    ResponseWriter,
    Style,
    decode,
    decode_long,
    encode_response,
)
from vats_exporter.gwt.writer import escaped

WIRE = Path(__file__).parent.parent / "wire"
PACKAGE = "ru.cti.vpbx.shared"
LONG, BOOLEAN, LIST = (
    "java.lang.Long/4227064769",
    "java.lang.Boolean/476441737",
    "java.util.ArrayList/4159755760",
)
ENTERPRISE = 2613189773

# Each row's date and, after its note, a long that the truth does not name.
TIMES = [
    "Y1qz9BK",
    "EWW",
    "ZFIIfRM",
    "Ec1",
    "Y0z6m0_",
    "A",
    "Y7A0wII",
    "A",
    "YzmIaW0",
    "IWp",
    "ZLH3lU$",
    "Blb",
    "Y8BBMXn",
    "Od3",
    "YygodiK",
    "GeB",
    "ZAOMavT",
    "ei",
    "ZIQduXv",
    "Udx",
    "Y9$Ec79",
    "DSq",
    "ZGmMGVK",
    "A",
]


def _truth(name: str) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text("utf-8"))
    return truth


ANSWERS = [path.stem for path in sorted(WIRE.glob("*.txt")) if "status" in _truth(path.stem)]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_capture_is_written_byte_for_byte(name: str) -> None:
    capture = (WIRE / f"{name}.txt").read_bytes()
    style = GWT_2_13 if _truth(name)["long_quote"] == '"' else GWT_2_7
    assert encode_response(decode(capture), style=style).encode() == capture


def _write_list(truth: dict[str, Any], times: Iterator[str], *, share_booleans: bool) -> str:
    """Write a page of the list from its truth; times and the last longs are not part of it."""
    writer = ResponseWriter()
    model = f"{PACKAGE}.models.browser.AbonentBrowser"
    writer.write_object(f"{model}ResponseGWTModel/3356831948")
    writer.write_object(LONG)
    writer.write_long(ENTERPRISE)
    writer.write_object(LIST)
    writer.write_number(len(truth["rows"]))
    for row in truth["rows"]:
        writer.write_object(f"{model}RecordGWTModel/2096236080")
        for key in ("department", "name", "phone"):
            writer.write_string(row[key])
        for _ in range(3):
            writer.write_number(0)
        writer.write_number(not row["active"])
        writer.write_number(0)
        writer.write_number(row["marked"])
        writer.write_number(row["bound"])
        share = ("Boolean", row["active"]) if share_booleans else None
        if writer.write_object(BOOLEAN, share=share):
            writer.write_number(row["active"])
        writer.write_number(0)
        writer.write_number(0)
        writer.write_object(LONG)
        writer.write_long(row["id"])
        writer.write_string(row["inner_number"])
        state = 2 if row["phone"] == "79161234891" else 0
        enum = f"{PACKAGE}.enums.MIGRATION_STATE_TYPE/1556569729"
        if writer.write_object(enum, share=("MIGRATION_STATE_TYPE", state)):
            writer.write_number(state)
        writer.write_object("java.util.Date/3385151746")
        writer.write_long(decode_long(next(times)))
        writer.write_string(row["note"])
        writer.write_long(decode_long(next(times)))
    writer.write_number(truth["total"])
    return encode_response(writer.finish())


def test_a_page_of_the_list_is_written_from_its_truth() -> None:
    text = _write_list(_truth("list_page3"), iter(TIMES), share_booleans=False)
    assert text.encode() == (WIRE / "list_page3.txt").read_bytes()


def test_a_page_with_shared_objects_is_written_from_its_truth() -> None:
    text = _write_list(_truth("list_shared_boolean"), iter(TIMES), share_booleans=True)
    assert text.encode() == (WIRE / "list_shared_boolean.txt").read_bytes()


def test_a_device_form_is_written_from_its_truth() -> None:
    truth = _truth("getform31")
    device = truth["device"]
    writer = ResponseWriter()
    model = f"{PACKAGE}.models.form.device.AbonentDevice"
    writer.write_object(f"{model}FormGWTModel/591779426")
    writer.write_object(LIST)
    writer.write_number(1)
    writer.write_object(f"{model}RecordGWTModel/1158222701")
    writer.write_object(LONG)
    writer.write_long(truth["abonent_id"])
    writer.write_number(device["enabled"])
    writer.write_object(LONG)
    writer.write_long(device["device_id"])
    writer.write_number(2)
    for key in ("sip_line", "sip_login", "sip_password_invented"):
        writer.write_string(device[key])
    for string in ("UDP", device["type"], device["model"], None):
        writer.write_string(string)
    writer.write_object(LONG)
    writer.write_long(ENTERPRISE)
    writer.write_number(3)
    text = encode_response(writer.finish())
    assert text.encode() == (WIRE / "getform31.txt").read_bytes()


def test_an_exception_is_written_from_its_truth() -> None:
    truth = _truth("ex_incompatible_type")
    writer = ResponseWriter()
    writer.write_object(f"{truth['exception_class']}/3936916533")
    writer.write_string(truth["message"])
    text = encode_response(writer.finish("EX"))
    assert text.encode() == (WIRE / "ex_incompatible_type.txt").read_bytes()


def test_parts_after_the_first_hold_one_element_more() -> None:
    answer = Response("OK", 7, 0, ["a", "b", "c", "d"], [1, 2, 3])
    text = encode_response(answer, style=Style(array_part=2))
    assert text == '//OK[1,2].concat([3,["a","b"].concat(["c","d"]),0],[7])'


def test_a_string_is_cut_after_the_character_that_fills_its_part() -> None:
    answer = Response("OK", 7, 0, ["ab'cde", "abc", "abcd"], [])
    text = encode_response(answer, style=Style(string_part=3))
    assert text == '//OK[["ab\\x27"+"cde","abc","abc"+"d"],0,7]'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-0.001, "-0.001"),
        (0.0001, "1.0E-4"),
        (1e-7, "1.0E-7"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (-123456789.5, "-1.234567895E8"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (5e-324, "5.0E-324"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_a_double_is_written_as_java_writes_it(value: float, text: str) -> None:
    writer = ResponseWriter()
    writer.write_number(value)
    assert encode_response(writer.finish()) == f"//OK[{text},[],0,7]"


def test_an_answer_of_version_8_is_json() -> None:
    strings = ["О'Коннор \u2028 \0"]
    answer = Response("OK", 8, 0, strings, ["P__________", "Infinity", 1])
    text = encode_response(answer, style=GWT_2_13)
    assert json.loads(text[4:]) == ["P__________", "Infinity", 1, strings, 0, 8]


@pytest.mark.parametrize("style", [Style('"', array_part=1), Style('"', string_part=1)])
def test_an_answer_of_version_8_that_has_to_be_cut_says_7(style: Style) -> None:
    answer = Response("OK", 8, 0, ["ab"], [])
    assert decode(encode_response(answer, style=style)).version == 7


def test_a_version_8_in_single_quotes_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"^an answer that is JSON has no single quotes$"):
        encode_response(Response("OK", 8, 0, [], []))


def test_an_unknown_version_is_not_written() -> None:
    with pytest.raises(ValueError, match="no such version: 9"):
        encode_response(Response("OK", 9, 0, [], []))


@pytest.mark.parametrize(
    ("character", "old", "new"),
    [
        ("я", "я", "я"),
        (" ", " ", " "),
        ("\t", r"\t", r"\t"),
        ("\\", r"\\", r"\\"),
        ("<", r"\x3C", r"\u003C"),
        ("\x00", r"\x00", r"\u0000"),
        ("\xa0", r"\xA0", r"\u00A0"),
        ("\xad", r"\xAD", r"\u00AD"),
        ("ÿ", "ÿ", "ÿ"),
        ("\u0300", r"\u0300", r"\u0300"),
        ("\u2011", r"\u2011", r"\u2011"),
        ("\ud83d", r"\uD83D", r"\uD83D"),
        ("\ue000", r"\uE000", r"\uE000"),
        ("\uffff", r"\uFFFF", r"\uFFFF"),
        ("\U00010000", r"\uD800\uDC00", r"\uD800\uDC00"),
        ("\U0001f4de", r"\uD83D\uDCDE", r"\uD83D\uDCDE"),
    ],
)
def test_what_could_be_mistaken_on_the_way_is_escaped(character: str, old: str, new: str) -> None:
    assert (escaped(character, True), escaped(character, False)) == (old, new)


def test_an_answer_of_version_8_says_so_where_only_its_version_is_cut_off() -> None:
    answer = Response("OK", 8, 0, ["a", "b", "c"], [1])
    text = encode_response(answer, style=Style('"', array_part=3))
    assert text == '//OK[1,["a","b","c"],0].concat([8])'


def test_a_null_object_and_a_null_string_are_0() -> None:
    writer = ResponseWriter()
    writer.write_number(0)
    writer.write_string(None)
    assert writer.finish().tokens == [0, 0]
