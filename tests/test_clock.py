"""The machine's clocks are what the system says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from vats_exporter.clock import Clock


def test_the_time_is_the_systems() -> None:
    before = time.time()
    shown = Clock().now()
    assert before <= shown <= time.time()


def test_the_machines_clock_goes_on_while_the_machine_is_suspended() -> None:
    uptime = Path("/proc/uptime")
    if not uptime.exists():
        pytest.skip("/proc/uptime, which counts the time of suspension, is Linux's")
    before = float(uptime.read_text().split()[0])
    shown = Clock().monotonic()
    after = float(uptime.read_text().split()[0])
    assert before - 0.02 <= shown <= after + 0.02
