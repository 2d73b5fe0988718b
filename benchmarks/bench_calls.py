"""What one scrape that refreshes passes through: modules, functions and calls of the project.

A simulated cabinet with one trunk runs in a process of its own; the exporter runs here with
``cache.ttl: 0``, so that each scrape reads the list. A few scrapes go first, to sign in, discover
and confirm the total; then the calls of one ``GET /metrics`` are counted with
:func:`sys.setprofile`, in all threads that it runs in. Only the project's own functions count,
neither its libraries' nor this script's. A generator is called each time it is resumed, and
comprehensions are left out, which are functions in some releases of Python and not in others. What
goes on in ``web/`` is told apart: the goals are for what a scrape passes through behind the server.

Run: python benchmarks/bench_calls.py [--all]; --all lists the functions and their calls.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

import vats_exporter
from vats_exporter.address import ListenAddress
from vats_exporter.app import Exporter
from vats_exporter.config.models import AccountSettings, CacheSettings, Config
from vats_exporter.demo import SimulatedCabinet, make_accounts
from vats_exporter.logs import configure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection
    from types import CodeType, FrameType

PACKAGE: Final = str(Path(vats_exporter.__file__).parent)
WEB: Final = f"{PACKAGE}/web/"
WARM_UP: Final = 3
GOALS: Final = {"modules": 28 * 2 // 3, "functions": 140 * 2 // 3, "calls": 1792 * 2 // 3}
NOT_COUNTED: Final = ("<module>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


class Calls:
    """Counts calls, in every thread that begins after its making."""

    def __init__(self) -> None:
        self.seen: Counter[CodeType] = Counter()
        self.counting = False
        threading.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if self.counting and event == "call" and code.co_filename.startswith(PACKAGE):
            self.seen[code] += 1


def simulate(told: Connection) -> None:
    """Be the cabinet, until the other end is closed."""
    with SimulatedCabinet(make_accounts(trunks=1)) as simulated:
        account = simulated.accounts[0]
        told.send((simulated.url, account.login, account.password))
        told.poll(None)


def main() -> int:
    """Count and print; exit 1 where a goal is missed."""
    ours, theirs = get_context("spawn").Pipe()
    cabinet = get_context("spawn").Process(target=simulate, args=(theirs,), daemon=True)
    cabinet.start()
    address, login, password = ours.recv()
    configure(level="error")
    account = AccountSettings(name="demo", address=address, login=login, password=password)
    config = Config(accounts=[account], cache=CacheSettings(ttl=0)).with_origin(Path("calls.yml"))
    calls = Calls()
    with Exporter(config, ListenAddress("127.0.0.1", 0)) as exporter:
        for number in range(WARM_UP + 1):
            calls.counting = number == WARM_UP
            with urlopen(f"{exporter.url}/metrics", timeout=20) as answer:
                page = answer.read()
        calls.counting = False
    ours.close()
    cabinet.join()
    assert b'vats_up{account="demo"} 1' in page
    seen = {code: times for code, times in calls.seen.items() if code.co_name not in NOT_COUNTED}
    if "--all" in sys.argv[1:]:
        for code, times in sorted(seen.items(), key=lambda one: (one[0].co_filename, -one[1])):
            print(f"{times:6}  {code.co_filename[len(PACKAGE) + 1 :]}:{code.co_name}")
    behind = {code: times for code, times in seen.items() if WEB not in code.co_filename}
    print(f"{'':10} {'in all':>8} {'without web':>12} {'at most':>8}")
    missed = False
    for (what, goal), in_all, count in zip(GOALS.items(), sizes(seen), sizes(behind), strict=True):
        print(f"{what:10} {in_all:8} {count:12} {goal:8}")
        missed = missed or count > goal
    return int(missed)


def sizes(seen: Mapping[CodeType, int]) -> tuple[int, int, int]:
    """How many modules, functions and calls that are."""
    return len({code.co_filename for code in seen}), len(seen), sum(seen.values())


if __name__ == "__main__":
    sys.exit(main())
