"""What every test has."""

from __future__ import annotations

import os

import pytest

from vats_exporter.cabinet import sign_in

# Programs that tests start keep no refused passwords for each other.
os.environ["XDG_STATE_HOME"] = os.devnull


@pytest.fixture(autouse=True)
def _no_pause_between_sign_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cabinets that end sessions do so faster than in life; the tests of the pause bring theirs."""
    monkeypatch.setattr(sign_in, "PACE", sign_in.SignInPace(pause=0.0))
