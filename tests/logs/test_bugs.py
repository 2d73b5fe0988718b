"""Bugs are told by their class and place, never by their message."""

from __future__ import annotations

import pytest

from vats_exporter.logs.bugs import describe_bug


def test_an_exception_is_told_by_the_line_that_raised_it() -> None:
    def fail() -> None:
        raise ValueError("geheim")

    with pytest.raises(ValueError, match="geheim") as caught:
        fail()
    line = fail.__code__.co_firstlineno + 1
    assert describe_bug(caught.value) == f"unexpected ValueError at test_bugs.py:{line}"


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert describe_bug(ValueError("geheim")) == "unexpected ValueError"
