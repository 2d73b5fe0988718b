"""The benchmark of the dashboards, run small: it asks everything, and of series that there are."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.invented_samples import STEP, Scene, write_window
from grafana.build import all_panels, built

ROOT = Path(__file__).parents[2]
LATER = {"vats_trunk_sip_device_enabled", "vats_login_retry_timestamp_seconds"} | {
    f"vats_details_{ending}" for ending in ("total", "timestamp_seconds")
}
"""What is served only with details, or after a refused login."""


def test_the_invented_samples_are_of_every_series_that_the_dashboards_ask_for() -> None:
    scene = Scene("outage", 1200, 1, 1_700_000_000)
    file = io.StringIO()
    write_window(scene, scene.end - 10 * STEP, scene.end, file)
    invented = set(re.findall(r"^([\w:]+)\{", file.getvalue(), re.MULTILINE))
    asked: set[str] = set()
    for board in built().values():
        for panel in all_panels(board):
            for target in panel["targets"]:
                asked |= set(re.findall(r"[\w:]*vats_\w+(?::\w+)?", target["expr"]))
    assert {name for name in asked if not name.startswith("Vats")} - LATER <= invented


def test_it_prints_each_querys_time_and_a_refreshs_cpu() -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus, a package of Debian's, is not on PATH")
    script = ROOT / "benchmarks" / "bench_dashboard.py"
    ended = subprocess.run(
        [sys.executable, script, "--trunks", "60", "--hours", "0.5"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(
        r"^ +\d\.\d{3} +\d\.\d{3} +Trunks that need attention .* key$", ended.stdout, re.MULTILINE
    )
    for board in ("vats-trunks", "vats-trunk"):
        assert re.search(rf"^{board}: \d+ queries", ended.stdout, re.MULTILINE)
    assert len(re.findall(r"^refresh, .* s of CPU", ended.stdout, re.MULTILINE)) == 4
