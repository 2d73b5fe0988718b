"""The benchmark of the rules, run small: it waits for the alerts, and prints each group's time."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_it_prints_the_seconds_of_each_group_while_the_alerts_fire() -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus, a package of Debian's, is not on PATH")
    small = "--trunks 60 --off 20 --minute 0.5 --history 2"
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_rules", *small.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "60 trunks, 20 of them off" in ended.stdout
    rules = (ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")
    text = "".join(file.read_text("utf-8") for file in rules)
    groups = set(re.findall(r"^  - name: (\S+)", text, re.MULTILINE))
    printed = re.findall(r"^ +\d\.\d{3} +\d\.\d{3} +\d\.\d{3}  (\S+)$", ended.stdout, re.MULTILINE)
    assert set(printed) == groups
