"""What every test has."""

from __future__ import annotations

import pytest

from vats_exporter.cabinet import sign_in


@pytest.fixture(autouse=True)
def _no_pause_between_sign_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cabinets that end sessions do so faster than in life; the tests of the pause bring theirs."""
    monkeypatch.setattr(sign_in, "PACE", sign_in.SignInPace(pause=0.0))
