from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.config.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("500ms", 0.5),
        ("15s", 15.0),
        ("1m", 60.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("2w", 14 * 86400.0),
        ("1y", 365 * 86400.0),
        ("1h0m5s10ms", 3605.01),
    ],
)
def test_durations_are_read_as_prometheus_writes_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        "-1s",
        "+1s",
        "1.5h",
        "30m1h",
        "1s1s",
        "1 s",
        "1S",
        "1s ",
        "\u0661s",
        "inf",
        "00",
    ],
)
def test_what_prometheus_refuses_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a duration|has no unit"):
        parse_duration(text)


def test_a_number_without_a_unit_is_told_how_to_get_one() -> None:
    with pytest.raises(ValueError, match="has no unit: write 60s, 60m or 60ms"):
        parse_duration("60")


@pytest.mark.parametrize("text", ["293y", "9223372037s", "9" * 5000 + "s"])
def test_a_duration_past_64_bits_of_nanoseconds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too long a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.5, "500ms"), (60.0, "1m"), (5400.0, "1h30m"), (86400.0 * 400, "400d")],
)
def test_durations_are_written_with_the_fewest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**12))
def test_a_duration_written_is_read_as_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=0.0005)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0B", 0), ("512B", 512), ("512KB", 524288), ("64MB", 67108864), ("1GB", 2**30)],
)
def test_sizes_are_powers_of_1024(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "64", "64mb", "-1MB", "1.5MB", "64 MB", "9" * 5000 + "B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size such as 512KB"):
        parse_size(text)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**40))
def test_a_size_written_is_read_as_the_same(count: int) -> None:
    assert parse_size(format_size(count)) == count
