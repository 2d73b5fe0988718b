import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.gwt import GwtError, LongError, decode_long, encode_long

KNOWN = [
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


@pytest.mark.parametrize(("value", "text"), KNOWN)
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
