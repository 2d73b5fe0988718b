"""What every test has, and how its report is sent."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from vats_exporter import redaction
from vats_exporter.cabinet import sign_in

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_pause_between_sign_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cabinets that end sessions do so faster than in life; the tests of the pause bring theirs."""
    monkeypatch.setattr(sign_in, "PACE", sign_in.SignInPace(pause=0.0))


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that is loaded registers its passwords, such as "secret"."""
    monkeypatch.setattr(redaction, "_forms", {})


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Write lone surrogates as ``&#55296;``: a report with them would end pytest-xdist."""
    data = yield
    return json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "xmlcharrefreplace"))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd listens to what a service tells it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening
