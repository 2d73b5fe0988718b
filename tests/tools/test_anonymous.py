"""An anonymous copy has the shape of the original and nothing of what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.gwt import GwtError, decode, encode_long
from vats_exporter.tools.anonymous import Anonymiser

WIRE = Path(__file__).parents[1] / "wire"


@pytest.mark.parametrize("name", ["list_page100", "list_escapes_dq", "getform31"])
def test_an_answer_keeps_its_numbers_and_its_classes(name: str) -> None:
    body = (WIRE / f"{name}.txt").read_bytes()
    copy = Anonymiser().answer(body)
    before, after = decode(body), decode(copy)
    assert [token for token in before.tokens if not isinstance(token, str)] == [
        token for token in after.tokens if not isinstance(token, str)
    ]
    assert len(before.string_table) == len(after.string_table)
    changed = 0
    for one, other in zip(before.string_table, after.string_table, strict=True):
        if one.startswith(("java.", "ru.")):
            assert one == other
        changed += one != other
    assert changed > 2
    # Written in the same style, by which a reader may go wrong.
    assert (copy.find(b"'") < copy.find(b'"')) == (body.find(b"'") < body.find(b'"'))


def test_what_is_no_answer_has_no_copy() -> None:
    with pytest.raises(GwtError):
        Anonymiser().answer(b"<html>79161234567</html>")


@given(st.text(max_size=30))
def test_a_string_keeps_its_length_and_its_kinds(text: str) -> None:
    other = Anonymiser().text(text)
    assert len(other) == len(text)
    for one, two in zip(text, other, strict=True):
        assert (one.isalpha(), one.isspace()) == (two.isalpha(), two.isspace())


def test_a_phone_stays_the_same_phone_wherever_it_stands() -> None:
    anonymiser = Anonymiser()
    phone = anonymiser.text("79161234567")
    assert phone != "79161234567"
    assert anonymiser.text("mobsip_9161234567") == f"mobsip_{phone[1:]}"
    assert anonymiser.text("тел. 79161234567").endswith(phone)


def test_longs_keep_their_length_and_differ_where_they_differed() -> None:
    anonymiser = Anonymiser()
    longs = [encode_long(2_586_000_000 + number) for number in range(500)]
    others = [anonymiser.long(text) for text in longs]
    assert len(set(others)) == len(longs)
    assert [len(text) for text in others] == [len(text) for text in longs]
    assert all(other != text for other, text in zip(others, longs, strict=True))
    assert anonymiser.long("A") == "A"
