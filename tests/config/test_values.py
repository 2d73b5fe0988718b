"""What text each kind of value may be written as."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vats_exporter.config import values
from vats_exporter.config.values import format_duration, format_size, parse_duration, parse_size
from vats_exporter.config.yaml_file import Plain
from vats_exporter.metrics.table import METRICS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def read(kind: Any, text: str, **context: object) -> object:
    return TypeAdapter(kind).validate_python(text, context=context)


def test_labels_of_the_exporters_metrics_are_reserved_and_those_of_histograms() -> None:
    assert {label for metric in METRICS for label in metric.labels} < values.RESERVED_LABELS
    assert "le" in values.RESERVED_LABELS
    for name in values.RESERVED_LABELS:
        with pytest.raises(ValidationError, match="a label of the exporter's own metrics"):
            read(values.LabelName, name)
    assert read(values.LabelName, "city") == "city"


@pytest.mark.parametrize(("text", "on"), [("true", True), ("No", False), ("ON", True)])
def test_a_switch_is_a_switch_only_without_quotes(text: str, on: bool) -> None:
    assert read(values.Switch, Plain(text)) is on
    with pytest.raises(ValidationError):
        TypeAdapter(values.Switch).validate_python(text, strict=True)


def test_a_file_stands_beside_the_configuration_unless_its_path_is_absolute(
    tmp_path: Path,
) -> None:
    assert read(values.FilePath, "a.pem", folder=tmp_path) == tmp_path / "a.pem"
    assert read(values.FilePath, "/etc/a.pem", folder=tmp_path).as_posix() == "/etc/a.pem"  # type: ignore[attr-defined]


def test_a_file_of_certificates_holds_some(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert read(values.CertificateFile, "ca.pem", folder=tmp_path) == tmp_path / "ca.pem"
    (tmp_path / "other.pem").write_text("hello\n")
    with pytest.raises(ValidationError, match="holds no certificate in PEM form"):
        read(values.CertificateFile, "other.pem", folder=tmp_path)


def test_a_password_comes_from_a_variable_of_the_environment_that_is_given() -> None:
    assert values.password_of_variable("SECRET", {"SECRET": "hunter2"}) == "hunter2"
    for environment in ({}, {"SECRET": ""}, {"SECRET": "a\nb"}):
        with pytest.raises(ValueError, match=r"variable|line break"):
            values.password_of_variable("SECRET", environment)


def test_a_path_that_no_file_can_have_is_an_error_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the file"):
        values.password_of_file(tmp_path / "a\0b")


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="it is a pipe"):
        values.password_of_file(tmp_path / "pipe")
    for kind in (values.ReadableFile, values.CertificateFile):
        with pytest.raises(ValidationError, match="it is a pipe"):
            read(kind, "pipe", folder=tmp_path)


# -- durations and sizes


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
