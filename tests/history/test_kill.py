"""A process killed at any moment leaves a file that has all that it said was saved, once."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from vats_exporter.history import History, read_events

ROOT = Path(__file__).parents[2]
ROUNDS = 12
MOST_LINES = 60

WRITER = """
import sys
from pathlib import Path
from tests.history.making import snapshot, trunk
from vats_exporter.history import History, read_events

path, number = Path(sys.argv[1]), 0
with History(path) as history:
    # Goes on where the file ends, as the cabinet goes on while the exporter is down.
    renamed = [event for event in read_events(path) if event.kind == "renamed"]
    if renamed:
        number = int(renamed[-1].after)
    while True:
        flags = ("110", "010")[number % 2]
        recorded = history.record("office", snapshot(number, trunk("A", flags, name=str(number))))
        if history.problem:
            sys.exit(history.problem)
        print(number, flush=True)
        number += 1
"""


def run_until_killed(path: Path, lines: int) -> int:
    """Let a writer report so many numbers, kill it, and give the last one it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            reported = [process.stdout.readline() for _ in range(lines)]
        finally:
            process.kill()
        # What it reported between the last line that was waited for and the kill counts as well.
        reported += process.stdout.readlines()
        assert process.stderr.read() == ""
    # A report that the kill cut in half is none.
    return int(next(line for line in reversed(reported) if line.endswith("\n")))


def test_kills_at_any_moment_lose_and_double_nothing_that_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    moments = random.Random(5)
    for _ in range(ROUNDS):
        last = run_until_killed(path, moments.randint(1, MOST_LINES))

        events = read_events(path)
        numbers = [int(event.after) for event in events if event.kind == "renamed"]
        # The first number of all is the baseline. One more may be there, saved but not reported.
        assert numbers in (list(range(1, last + 1)), list(range(1, last + 2)))
        flips = Counter(event.flag for event in events if event.kind == "changed")
        assert flips == Counter(active=len(numbers))

    with History(path) as history:
        assert history.problem == ""
        assert history.changes("office")["A", "active"].total == flips["active"]
    assert [one.name for one in tmp_path.iterdir()] in (
        ["history.db", "history.db.lock"],
        ["history.db.lock", "history.db"],
    )
