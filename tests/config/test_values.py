"""What text each kind of value may be written as."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trustme
from pydantic import TypeAdapter, ValidationError

from vats_exporter.config import values
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
