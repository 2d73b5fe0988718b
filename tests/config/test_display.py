"""The configuration as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vats_exporter.config.display import display
from vats_exporter.config.loading import load
from vats_exporter.metrics.privacy import Privacy

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
accounts:
  - name: Офис
    login: "+7-9161234567"
    {password}
    expected_off: ["+7 916 123-45-68"]
    timeouts: {{connect: 1m30s}}
    max_response: 8MB
    labels: {{city: Омск}}
cache: {{ttl: 30s}}
details: {{ttl: 2h}}
"""
ENVIRONMENT = {"OFFICE": "hunter2-in-the-environment"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("hunter2-in-a-file")
    return tmp_path


@pytest.mark.parametrize(
    "password", ["password: hunter2-itself", "password_file: secret", "password_env: OFFICE"]
)
def test_what_is_shown_is_a_configuration_without_its_passwords(
    folder: Path, password: str
) -> None:
    file = folder / "vats-exporter.yml"
    file.write_text(FILE.format(password=password), encoding="utf-8")
    config = load(file, environment=ENVIRONMENT)
    text = display(config, Privacy())
    assert "hunter2" not in text
    assert "Омск" in text
    if password.startswith("password:"):
        assert "password: <secret>" in text
        text = text.replace("<secret>", "hunter2-itself")
    file.write_text(text, encoding="utf-8")
    assert load(file, environment=ENVIRONMENT) == config


def test_what_has_its_default_is_left_out(folder: Path) -> None:
    file = folder / "vats-exporter.yml"
    file.write_text("accounts: [{name: a, login: b, password: hunter2-itself}]")
    assert display(load(file), Privacy()) == (
        "accounts:\n- login: b\n  password: <secret>\n  name: a\n"
    )


def test_phones_that_labels_hold_back_are_held_back(folder: Path) -> None:
    file = folder / "vats-exporter.yml"
    file.write_text(FILE.format(password="password: hunter2-itself"), encoding="utf-8")
    text = display(load(file), Privacy(mask_phones=True))
    assert "9161234567" not in text
    assert "79161234568" not in text
    assert "*******4568" in text
