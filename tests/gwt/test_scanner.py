import math
import sys
from types import FrameType
from typing import Any

import pytest

from vats_exporter.gwt import GwtError, MalformedError, decode
from vats_exporter.gwt.scanner import LONGEST_NUMBER, scan

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
    assert decode(f"//OK[-{'9' * LONGEST_NUMBER},[],0,7]").tokens == [1 - 10**LONGEST_NUMBER]
    with pytest.raises(MalformedError, match="too long"):
        decode(f"//OK[-{'9' * (LONGEST_NUMBER + 1)},[],0,7]")


def test_the_longest_integer_is_read_between_blanks_too() -> None:
    digits = "9" * LONGEST_NUMBER
    assert scan(f"//OK[-{digits} ,{digits} ,[],0,7]")[0] == [-int(digits), int(digits)]
    with pytest.raises(MalformedError, match=r"^the number at 5 is too long$"):
        scan(f"//OK[{digits}9 ,[],0,7]")


def test_an_interpreter_told_to_read_less_refuses_what_it_cannot() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(MalformedError) as caught:
            scan(f"//OK[1,{'9' * 641} ,[],0,7]")
    finally:
        sys.set_int_max_str_digits(before)
    assert str(caught.value) == "the number at 7 is too long"
    assert caught.value.where == 7


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
