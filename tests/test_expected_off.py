"""Trunks that are off on purpose: which they are, and what is said of entries that fit none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vats_exporter.expected_off import ExpectedOff, read_entry, read_lines
from vats_exporter.trunks import Flags, Trunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONE = Trunk("CaLztv", 1, "79161234567", "", Flags(False, False, True), "0011", True)
TWO = ONE._replace(ref="CaLz$_", phone="79161234568")
TRUNKS = (ONE, TWO)


def marked(expected: ExpectedOff, trunks: tuple[Trunk, ...] = TRUNKS) -> list[str]:
    return [trunk.ref for trunk in expected.mark(trunks)[0] if trunk.expected_off]


def write(file: Path, text: str | bytes) -> None:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def put_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("79161234567", "79161234567"),
        ("+7 (916) 123-45-67", "79161234567"),
        (" CaLztv ", "CaLztv"),
        ("CaLz$_", "CaLz$_"),
    ],
)
def test_a_trunk_is_named_by_its_phone_or_its_reference(text: str, name: str) -> None:
    assert read_entry(text) == name


@pytest.mark.parametrize("text", ["", "7916123456", "Иванов", "a trunk", "+7"])
def test_what_is_neither_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="must be a phone such as") as caught:
        read_entry(text)
    assert not text or text not in str(caught.value).split()


def test_a_file_has_one_a_line_and_comments() -> None:
    text = "\ufeff# closed for the winter\n79161234567\n\n CaLztv  # kiosk\r\n"
    assert read_lines(text) == [(2, "79161234567"), (4, "CaLztv")]


def test_trunks_are_marked_by_phone_and_by_reference() -> None:
    assert marked(ExpectedOff(["79161234567"])) == ["CaLztv"]
    assert marked(ExpectedOff(["CaLz$_"])) == ["CaLz$_"]
    assert marked(ExpectedOff()) == []
    assert ExpectedOff(["CaLz$_"]).mark(TRUNKS)[1] == ()


def test_an_entry_that_is_no_trunk_is_a_warning_without_the_phone() -> None:
    _, warnings = ExpectedOff(["CaLztv", "79160000000", "CaAAAA"]).mark(TRUNKS)
    assert warnings == ("expected_off: no such trunk: entry 2, 3",)


def test_a_warning_names_a_few_entries_and_how_many_more_there_are() -> None:
    _, warnings = ExpectedOff([f"7916000000{digit}" for digit in range(8)]).mark(TRUNKS)
    assert warnings == ("expected_off: no such trunk: entry 1, 2, 3 and 5 more",)


def test_nothing_is_said_of_a_phone_while_a_trunk_shows_none() -> None:
    """Its phone may be read with its details later."""
    trunks = (ONE, TWO._replace(phone=""))
    _, warnings = ExpectedOff(["79161234568", "CaAAAA"]).mark(trunks)
    assert warnings == ("expected_off: no such trunk: entry 2",)


def test_a_trunk_without_a_phone_is_never_marked_by_one() -> None:
    assert marked(ExpectedOff(["79161234567"]), (ONE._replace(phone=""),)) == []


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "off.txt"
    write(file, "CaLztv\n")
    expected = ExpectedOff(["CaLz$_"], file)
    assert marked(expected) == ["CaLztv", "CaLz$_"]
    write(file, "# none\n")
    assert marked(expected) == ["CaLz$_"]
    write(file, "CaLztv\nnot a trunk\n79160000000\n")
    assert marked(expected) == ["CaLztv", "CaLz$_"]
    assert expected.mark(TRUNKS)[1] == (
        "expected_off_file: neither a phone nor a reference: line 2",
        "expected_off_file: no such trunk: line 3",
    )


@pytest.mark.parametrize(
    ("spoil", "warning"),
    [
        (lambda file: file.unlink(), "cannot be read: No such file or directory"),
        (lambda file: write(file, b"\xff\n"), "not UTF-8"),
        (put_a_pipe, "not a file"),
        (lambda file: write(file, b"#" * (5 * 1024 * 1024)), "longer than 4194304 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_any_more_leaves_what_it_said(
    tmp_path: Path, spoil: Callable[[Path], object], warning: str
) -> None:
    file = tmp_path / "off.txt"
    write(file, "CaLztv\n")
    expected = ExpectedOff(file=file)
    assert marked(expected) == ["CaLztv"]
    spoil(file)
    assert marked(expected) == ["CaLztv"]
    assert expected.mark(TRUNKS)[1] == (f"expected_off_file: {warning}",)


def test_another_file_or_none_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write(tmp_path / "one", "CaLztv\n")
    write(tmp_path / "two", "CaLz$_\n")
    expected = ExpectedOff(file=tmp_path / "one")
    assert marked(expected) == ["CaLztv"]
    expected.file = tmp_path / "two"
    assert marked(expected) == ["CaLz$_"]
    expected.file = None
    assert marked(expected) == []
