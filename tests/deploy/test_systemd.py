"""The systemd unit: valid, protected, and in line with what the program does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "vats-exporter.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that is there."""
    file = tmp_path / UNIT.name
    text = UNIT.read_text()
    file.write_text(text.replace("/opt/vats-exporter/bin/vats-exporter", "/bin/true"))
    return file


def analyze(*arguments: str) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze, of Debian's package systemd, is not on PATH")
    ended = subprocess.run(
        [program, *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_systemd_finds_nothing_to_say(unit: Path) -> None:
    assert analyze("verify", str(unit)) == ""


def test_hardly_anything_is_left_open(unit: Path) -> None:
    # A tenth of what analyze counts in; what exactly is counted differs between its versions.
    analyze("security", "--offline=true", "--threshold=15", str(unit))


def test_each_path_is_one_that_the_service_has() -> None:
    text = UNIT.read_text()
    readme = (UNIT.parent / "README.md").read_text()
    assert "StateDirectory=vats-exporter" in text
    assert "file: /var/lib/vats-exporter/history.db" in readme
    assert "LoadCredential=office:/etc/vats-exporter/credentials/office" in text
    assert f"password_file: /run/credentials/{UNIT.name}/office" in readme
