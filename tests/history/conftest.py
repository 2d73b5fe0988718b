"""A place for the file, and a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.history.making import Clock
from vats_exporter.history import kept

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _busy_machines_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PATIENCE", 60.0)
