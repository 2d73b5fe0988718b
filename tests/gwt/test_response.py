"""Bytes become exactly the tokens and strings that they hold, or one error that says where."""

import json
import math
import string
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.gwt import (
    GWT_2_7,
    GWT_2_13,
    GwtError,
    LongError,
    MalformedError,
    NotAnAnswerError,
    Response,
    Style,
    decode,
    decode_long,
    encode_long,
    encode_response,
)
from vats_exporter.gwt.response import Status, Token, read_quickly, scan

WIRE = Path(__file__).parent.parent / "wire"


def _truth(capture: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads(capture.with_suffix(".json").read_text("utf-8"))
    return truth


ANSWERS = [path for path in sorted(WIRE.glob("*.txt")) if "status" in _truth(path)]
OTHERS = [path for path in sorted(WIRE.glob("*.txt")) if "status" not in _truth(path)]
SMALL = [path.read_bytes() for path in ANSWERS if path.stat().st_size < 3000]

BLANK = '//OK[0,["s"],0,7]'

strings = st.text(st.characters(), max_size=12).map(
    # Two surrogates that meet are one character: texts are compared as what they mean.
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
)
tokens = st.one_of(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.floats(),
    st.integers(-(1 << 63), (1 << 63) - 1).map(encode_long),
)
responses = st.builds(
    Response,
    status=st.sampled_from(["OK", "EX"]),
    version=st.integers(5, 7),
    flags=st.integers(-5, 5),
    string_table=st.lists(strings, max_size=9),
    tokens=st.lists(tokens, max_size=12),
)
styles = st.builds(
    Style,
    quote=st.sampled_from(["'", '"']),
    short_hexadecimal=st.booleans(),
    array_part=st.integers(1, 6),
    string_part=st.integers(1, 20),
)


@pytest.mark.parametrize("capture", ANSWERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("as_text", [False, True], ids=["bytes", "text"])
def test_a_capture_decodes_to_exactly_its_truth(capture: Path, as_text: bool) -> None:
    truth = _truth(capture)
    data = capture.read_bytes()
    response = decode(data.decode() if as_text else data)
    assert response.status == truth["status"]
    assert response.version == truth["version"]
    assert response.flags == truth["flags"]
    assert response.string_table == truth["string_table"]
    assert [
        {"double": repr(token)} if isinstance(token, float) else token for token in response.tokens
    ] == truth["tokens_wire_order"]


@pytest.mark.parametrize("capture", OTHERS, ids=lambda path: path.stem)
def test_what_is_no_answer_is_refused_as_such(capture: Path) -> None:
    with pytest.raises(NotAnAnswerError):
        decode(capture.read_bytes())


@pytest.mark.parametrize("capture", ANSWERS, ids=lambda path: path.stem)
def test_the_exact_reader_agrees_with_the_fast_one_on_a_capture(capture: Path) -> None:
    text = capture.read_text("utf-8")
    quick = read_quickly(text)
    # Only joined strings are beyond the fast path; the others have to take it, for its speed.
    assert (quick is None) == ("longstring" in capture.stem)
    assert quick in (None, scan(text))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        ("", "empty"),
        (b"  <!DOCTYPE html>", "looks like HTML or XML"),
        ("<html>", "looks like HTML or XML"),
        ('{"error": 1}', "looks like JSON"),
        (b'{"error": 1}', "looks like JSON"),
        ("[1]", "looks like JSON"),
        (b"[1]", "looks like JSON"),
        (b"//ok[0,[],0,7]", "starts with neither //OK nor //EX"),
        (b"\xff\xfe", "starts with neither //OK nor //EX"),
        ("\ufeff" + BLANK, "starts with neither //OK nor //EX"),
    ],
)
def test_the_error_names_what_came_instead(data: bytes | str, kind: str) -> None:
    with pytest.raises(NotAnAnswerError) as caught:
        decode(data)
    assert str(caught.value) == f"not a GWT-RPC answer: {kind}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("//OK", "unexpected end at 4"),
        ("//OK5", 'unexpected "5" at 4'),
        ("//OK[", "answer at 4 is not closed (ends at 5)"),
        ("//OK[]", "no string table before 6"),
        ("//OK[1,0,7]", "no string table before 11"),
        ("//OK[1,]", 'unexpected "]" at 7'),
        ("//OK[,1]", 'unexpected "," at 5'),
        ("//OK[1 2]", 'unexpected "2" at 7'),
        ("//OK[01,[],0,7]", 'unexpected "1" at 6'),
        ('//OK[1,["a","b', "the string at 12 is not closed (ends at 14)"),
        ('//OK[1,["a","b"', "string table at 7 is not closed (ends at 15)"),
        ('//OK[1,["a",]', 'unexpected "]" at 12'),
        ('//OK[1,["a",5],0,7]', 'unexpected "5" at 12'),
        ('//OK[1,["a",["b"]],0,7]', 'unexpected "[" at 12'),
        ('//OK[1,["a"],["b"],0,7]', 'unexpected "[" at 13'),
        ('//OK[1,["a"],7]', "string table at 7 is not third from the end"),
        ('//OK[1,["a"],0,0,7]', "string table at 7 is not third from the end"),
        ('//OK[["a"],0.5,7]', "flags and version before 17 are not integers"),
        ("//OK[[],0,'A']", "flags and version before 14 are not integers"),
        ("//OK[[],0,7]]", 'unexpected "]" at 12'),
        ("//OK[[],0,7];", 'unexpected ";" at 12'),
        ("//OK[[],0,7].concat([", "answer at 4 is not closed (ends at 21)"),
        ("//OK[1].concat([[],0,7]", "answer at 4 is not closed (ends at 23)"),
        ('//OK[].concat([1,["a"],0,7])', 'unexpected "." at 6'),
        ("//OK[1],[[],0,7]", 'unexpected "," at 7'),
        ("//OK[1].concat([]),[[],0,7])", 'unexpected "]" at 16'),
        ("//OK[true,[],0,7]", 'unexpected "t" at 5'),
        ("//OK[true,1,[],0,7]", 'unexpected "t" at 5'),
        ("//OK[1,false,1,[],0,7]", 'unexpected "f" at 7'),
        ("//OK[null,[],0,7]", 'unexpected "n" at 5'),
        ("//OK[{},[],0,7]", 'unexpected "{" at 5'),
        ("//OK['a\"],[],0,7]", "the string at 5 is not closed (ends at 17)"),
        ("//OK['a\nb',[],0,7]", "unexpected U+000A at 7"),
        ('//OK[["\\x4g"],0,7]', "bad escape at 7"),
        ('//OK[["ж\\u004"],0,7]', "bad escape at 8"),
        ('//OK[["\\u{110000}"],0,7]', "bad escape at 7"),
        ('//OK[["a"+5],0,7]', 'unexpected "5" at 10'),
        ('//OK[["a"+', "string table at 5 is not closed (ends at 10)"),
        ('//OK[["a\\', "bad escape at 8"),
        (f"//OK[{'9' * 5000},[],0,7]", "the number at 5 is too long"),
        ("//OK[ж,[],0,7]", "unexpected U+0436 at 5"),
        ("//OK[~,[],0,7]", 'unexpected "~" at 5'),
        ("//OK[\x7f,[],0,7]", "unexpected U+007F at 5"),
        ('//OK[["a"].concat([]),0,7]', 'unexpected "]" at 19'),
        ('//OK[["a"].concat(["b"] ["c"]),0,7]', 'unexpected "[" at 24'),
    ],
)
def test_a_malformed_answer_is_refused_where_it_breaks(text: str, message: str) -> None:
    for data in (text, text.encode()):
        with pytest.raises(MalformedError) as caught:
            decode(data)
        assert str(caught.value) == message


def test_bytes_that_are_not_utf_8_are_refused_at_their_offset() -> None:
    with pytest.raises(MalformedError, match=r"byte 10$"):
        decode('//OK[["ж'.encode() + b"a\xff")


def test_an_answer_past_the_limit_is_refused_unread() -> None:
    assert decode(BLANK, limit=len(BLANK)).tokens == [0]
    with pytest.raises(MalformedError, match=r"^the answer has 17 bytes, more than 16$"):
        decode(BLANK, limit=len(BLANK) - 1)


@pytest.mark.parametrize("version", [-7, 0, 4, 9, 4_000_000_000])
def test_a_version_of_another_time_is_refused(version: int) -> None:
    with pytest.raises(MalformedError, match=f"^version {version} is not 5 to 8$"):
        decode(f"//OK[[],0,{version}]")


@pytest.mark.parametrize("version", [5, 6, 7, 8])
@pytest.mark.parametrize("flags", [-1, 0, 1, 3, 2147483647])
def test_every_version_and_any_flags_are_read(version: int, flags: int) -> None:
    response = decode(f'//EX["A",1.0E-7,-2,["s"],{flags},{version}]')
    assert (response.version, response.flags) == (version, flags)
    assert response.tokens == ["A", 1e-7, -2]


def test_bare_numbers_that_json_lacks_are_doubles() -> None:
    nan, *others = decode("//OK[NaN,Infinity,-Infinity,[],0,7]").tokens
    assert isinstance(nan, float)
    assert math.isnan(nan)
    assert others == [math.inf, -math.inf]


def test_blanks_may_stand_between_elements() -> None:
    response = decode('//OK [ 1 , [ "a" + "b" ] .concat( [ "c" ] ) ] .concat( [ 0 , 7 ] ) \n')
    assert (response.tokens, response.string_table) == ([1], ["ab", "c"])


@pytest.mark.parametrize(
    ("text", "is_quick"),
    [
        ('//OK[1].concat([\'Ab\',["a","b"],0,7])', True),
        ('//OK[1,\'Ab\'].concat([["a","b"],0,7])', True),
        ('//OK[1].concat([\'Ab\'],[["a","b"]],[0],[7])', True),
        # Answers of more than 32,768 strings, and one in ten thousand of those that are cut.
        ('//OK[1,\'Ab\'].concat([["a"].concat(["b"])],[0,7])', False),
        ('//OK[1,\'Ab\',["a"].concat(["b"]),0,7]', False),
        ('//OK[1,\'Ab\',["a","b"]].concat([0,7])', False),
        ('//OK[1,\'Ab\',["a","b"],0].concat([7])', False),
        ('//OK[1,\'Ab\',["a","b"]].concat([0],[7])', False),
    ],
)
def test_a_cut_may_fall_between_any_two_elements(text: str, is_quick: bool) -> None:
    expected = ([1, "Ab"], ["a", "b"], 0, 7)
    assert scan(text) == expected
    assert read_quickly(text) == (expected if is_quick else None)


def test_an_answer_may_have_any_number_of_parts() -> None:
    text = "//OK[0].concat([" + "1],[" * 2100 + '["s"],0,7])'
    assert read_quickly(text) == scan(text) == ([0] + [1] * 2100, ["s"], 0, 7)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_a_table_may_be_cut_into_any_number_of_parts(parts: int) -> None:
    table = "].concat([" + "],[".join('"ж","x"' for _ in range(parts)) + "])"
    text = f'//OK[5,["a"{table},0,7]'
    assert decode(text).string_table == scan(text)[1] == ["a", *["ж", "x"] * parts]


@pytest.mark.parametrize(
    "text",
    [
        # What looks like a seam or a table inside of a long's quotes is neither.
        "//OK['a].concat([b','c',[\"x\"],0,7]",
        "//OK['a].concat([b','c'].concat([[\"x\"],0,7])",
        "//OK['a],[b','c',[\"x\"],0,7]",
        "//OK['a,[\"b\"],0,7]','c',[\"x\"],0,7]",
        # Quotes of both kinds: only one of them opens.
        '//OK[\'a"b\',"c\'d",["x"],0,7]',
        "//OK['a\\'b','c\\x41',[\"x\"],0,7]",
    ],
)
def test_strings_among_the_tokens_are_not_mistaken_for_structure(text: str) -> None:
    assert read_quickly(text) is None
    assert len(decode(text).tokens) == 2
    assert decode(text).string_table == ["x"]


@pytest.mark.parametrize(
    "text",
    [
        '//OK[\'a",["x"],0,7]',
        '//OK[\'a[",["x"],0,7]',
        '//OK[1,"a\',["x"],0,7]',
        '//OK[\'a].concat([b,["x"],0,7])',
    ],
)
def test_quotes_that_do_not_match_are_never_mended(text: str) -> None:
    with pytest.raises(MalformedError):
        decode(text)


def test_surrogates_combine_where_they_meet() -> None:
    high, low = "\ud83d", "\udcde"
    texts = [
        '//OK[["\\uD83D\\uDCDE"],0,7]',
        '//OK[["\\uD83D"+"\\uDCDE"],0,7]',
        f'//OK[["{high}\\uDCDE"],0,7]',
        f'//OK[["\\uD83D{low}"],0,7]',
        f'//OK[["{high}{low}"],0,7]',
    ]
    assert [decode(text).string_table for text in texts] == [["\U0001f4de"]] * len(texts)
    assert decode('//OK[["\\uDCDE\\uD83D"],0,7]').string_table == [low + high]


def test_the_exception_class_is_named_without_its_hash() -> None:
    response = decode((WIRE / "ex_application.txt").read_bytes())
    assert response.exception_class == "ru.cti.vpbx.shared.exceptions.VpbxGwtException"


@pytest.mark.parametrize(
    "text", ["//OK[1,['C/1'],0,7]", "//EX[[],0,7]", "//EX[0,['C'],0,7]", "//EX[2,['C'],0,7]"]
)
def test_no_exception_class_is_named_where_there_is_none(text: str) -> None:
    assert decode(text).exception_class == ""


def test_strings_are_kept_out_of_reprs() -> None:
    assert "hunter2" not in repr(decode('//OK[1,["hunter2"],0,7]'))


LITERALS = [
    # A JavaScript literal, and what it evaluates to.
    (r'"\b\t\n\v\f\r\"\'\\\/"', "\b\t\n\v\f\r\"'\\/"),
    (r"'\'\"'", "'\""),
    (r'"\0\08\x00"', "\0\0" + "8\0"),
    (r'"\1\12\123\377\400\477\78\08"', "\1\n" + "S\xff 0'7\x078\0" + "8"),
    (r'"\8\9\a\z\ж"', "89azж"),
    (r'"\x41\x7f\xFf"', "A\x7fÿ"),
    (r'"\u0416\u2028"', "Ж\u2028"),
    (r'"\u{41}\u{0000000000416}\u{1F4DE}"', "AЖ\U0001f4de"),
    (r'"\u{10FFFF}"', "\U0010ffff"),
    (r'"\u{D83D}\u{DCDE}"', "\U0001f4de"),
    ('"a\\\nb\\\r\nc\\\rd\\\u2028e\\\u2029f"', "abcdef"),
    (r'"\uD83D" + "\uDCDE"', "\U0001f4de"),
    (r'"\uD83D\uD83D\uDCDEx\uDCDE"', "\ud83d\U0001f4dex\udcde"),
    (r'"a"+"b"+' + r"'c'", "abc"),
    ('""', ""),
    ('"tab\there, \x7f and \u2028"', "tab\there, \x7f and \u2028"),
    (r'"\\x41\\\x41"', r"\x41\A"),
]


@pytest.mark.parametrize(("literal", "value"), LITERALS)
def test_a_string_means_what_javascript_makes_of_it(literal: str, value: str) -> None:
    tokens, table, flags, version = scan(f"//OK[{literal},[{literal},'z'],0,7]")
    assert tokens == [value]
    assert table == [value, "z"]
    assert (flags, version) == (0, 7)
    assert decode(f"//OK[0,[{literal}],0,7]").string_table == [value]


@pytest.mark.parametrize(
    ("number", "value"),
    [("-0", 0), ("1.0", 1.0), ("-1.5E-7", -1.5e-7), ("1e400", math.inf), ("-12", -12)],
)
def test_a_number_means_what_json_makes_of_it(number: str, value: float) -> None:
    tokens, *_ = scan(f"//OK[{number},[],0,7]")
    assert tokens == [value]
    assert type(tokens[0]) is type(value)


@pytest.mark.parametrize(
    "number", ["+1", ".5", "1.", "01", "0x10", "1_0", "--1", "-", "1e", "-NaN"]
)
def test_a_number_that_no_server_writes_is_refused(number: str) -> None:
    with pytest.raises(MalformedError):
        decode(f"//OK[{number},[],0,7]")


def test_the_longest_integer_is_read_and_a_longer_one_refused() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        digits = "9" * 640
        text = f"//OK[-{digits} ,{digits},[],0,7]"
        assert decode(text).tokens == scan(text)[0] == [-int(digits), int(digits)]
        for fault in (f"//OK[1,-9{digits} ,[],0,7]", f"//OK[1,-9{digits},[],0,7]"):
            with pytest.raises(MalformedError, match=r"^the number at 7 is too long$"):
                decode(fault)
    finally:
        sys.set_int_max_str_digits(before)


@settings(max_examples=150, deadline=None)
@given(responses, styles)
def test_what_is_written_is_read_back(response: Response, style: Style) -> None:
    text = encode_response(response, style=style)
    for data in (text, text.encode()):
        assert repr(_parts(decode(data))) == repr(_parts(response))


@settings(max_examples=100, deadline=None)
@given(responses, st.sampled_from([GWT_2_7, GWT_2_13]))
def test_uncut_answers_never_leave_the_fast_path(response: Response, style: Style) -> None:
    assert read_quickly(encode_response(response, style=style)) is not None


@settings(max_examples=150, deadline=None)
@given(responses, styles, st.data())
def test_the_fast_path_says_what_the_exact_reader_says_or_nothing(
    response: Response, style: Style, data: st.DataObject
) -> None:
    _check_agreement(_mutated(encode_response(response, style=style), data))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="[]()\"'\\,+.concatx0u17 AN{}:\n", max_size=60))
def test_both_readers_agree_on_a_heap_of_punctuation(text: str) -> None:
    _check_agreement(f"//OK[{text},0,7]")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SMALL), st.data())
def test_a_damaged_capture_is_a_value_or_a_protocol_error(
    capture: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(capture)))
    end = data.draw(st.integers(start, len(capture)))
    put = data.draw(st.binary(max_size=4))
    damaged = capture[:start] + put + capture[end:]
    _value_or_protocol_error(damaged)
    _value_or_protocol_error(damaged.decode("utf-8", "surrogateescape"))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SMALL), st.data())
def test_an_answer_that_stops_early_is_refused(capture: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(capture) - 1))
    with pytest.raises(GwtError):
        decode(capture[:end])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_protocol_error(data: bytes) -> None:
    _value_or_protocol_error(data)
    _value_or_protocol_error(b"//OK" + data)
    _value_or_protocol_error(b"//EX[" + data)


HOSTILE = {
    "opening brackets": "[",
    "closing brackets": "]",
    "seams": "],[",
    "first seams": "].concat([",
    "cut numbers": "1].concat([1],[",
    "joined strings": '"+"',
    "backslashes": "\\",
    "hexadecimal escapes": '"\\x41',
    "double quotes": '"',
    "single quotes": "'",
    "digits": "9",
    "zeros of an escape": "\\u{0",
    "commas": ",",
    "numbers": "1,",
    "blanks": " ",
    "exponents": "1e9",
    "surrogates": "\\uD83D",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("start", ["//OK[", "//OK[1].concat([", '//OK[["'])
def test_twice_the_hostile_input_takes_at_most_twice_the_steps(start: str, unit: str) -> None:
    once, twice = (_steps(start + unit * count) for count in (500, 1000))
    assert twice <= 2 * once + 100


def _steps(text: str) -> int:
    """Count the functions that decoding a text calls, those written in C too."""
    steps = 0

    def count(_frame: FrameType, _event: str, _argument: Any) -> None:
        nonlocal steps
        steps += 1

    previous = sys.getprofile()
    sys.setprofile(count)
    try:
        decode(text)
    except GwtError:
        pass
    finally:
        sys.setprofile(previous)
    return steps


LONGS = [
    (0, "A"),
    (1, "B"),
    (10, "K"),
    (25, "Z"),
    (26, "a"),
    (62, "$"),
    (63, "_"),
    (64, "BA"),
    (100, "Bk"),
    (2613189773, "CbwhyN"),
    (2586786671, "CaLztv"),
    (-1, "P__________"),
    ((1 << 63) - 1, "H__________"),
    (-(1 << 63), "IAAAAAAAAAA"),
]


@pytest.mark.parametrize(("value", "text"), LONGS)
def test_a_known_long_is_written_and_read(value: int, text: str) -> None:
    assert encode_long(value) == text
    assert decode_long(text) == value


def test_each_digit_is_its_place_in_the_alphabet() -> None:
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "$_"
    assert [decode_long(digit) for digit in alphabet] == list(range(64))
    assert [decode_long(digit + "A") for digit in alphabet] == [64 * n for n in range(64)]


@settings(deadline=None)
@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_long_survives_the_way_there_and_back(value: int) -> None:
    assert decode_long(encode_long(value)) == value


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_long_or_a_protocol_error(text: str) -> None:
    try:
        value = decode_long(text)
    except GwtError:
        return
    assert encode_long(value) == (text.lstrip("A") or "A")


def test_leading_zeros_are_read_as_google_reads_them() -> None:
    assert decode_long("AAAAAAAAAAAAAAAAAAAAAABk") == 100


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1])
def test_a_number_that_does_not_fit_is_not_written(value: int) -> None:
    with pytest.raises(LongError, match=r"^the number does not fit in 64 bits$"):
        encode_long(value)


@pytest.mark.parametrize("text", ["QAAAAAAAAAA", "P___________", "B" * 1000])
def test_more_than_64_bits_are_refused(text: str) -> None:
    with pytest.raises(LongError, match=r"^a long has more than 64 bits$"):
        decode_long(text)


def test_no_digits_are_refused() -> None:
    with pytest.raises(LongError, match=r"^a long has no digits$"):
        decode_long("")


@pytest.mark.parametrize(
    ("text", "where"), [("Ca-L", 2), ("AA+", 2), ("ё", 0), ("Bk=", 2), (" A", 0)]
)
def test_a_foreign_character_is_refused_at_its_place(text: str, where: int) -> None:
    with pytest.raises(LongError, match=f"^a long has a foreign character at {where}$"):
        decode_long(text)


def _parts(response: Response) -> tuple[Status, int, int, list[str], list[Token]]:
    return (
        response.status,
        response.version,
        response.flags,
        response.string_table,
        response.tokens,
    )


def _value_or_protocol_error(data: bytes | str) -> None:
    try:
        response = decode(data)
    except GwtError:
        return
    assert all(type(token) in (int, float, str) for token in response.tokens)
    assert all(type(string) is str for string in response.string_table)


def _check_agreement(text: str) -> None:
    quick = read_quickly(text)
    if quick is not None:
        assert repr(quick) == repr(scan(text))


def _mutated(text: str, data: st.DataObject) -> str:
    """Change a few characters of a text into others that mean something to a reader."""
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(4, len(text)))
        put = data.draw(st.sampled_from(["", " ", *"[](),\"'\\+x0A{}.-", "],[", "].concat(["]))
        text = text[:at] + put + text[at + data.draw(st.integers(0, 1)) :]
    return text
