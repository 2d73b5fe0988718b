"""What recording 10,000 trunks costs, as a share of decoding the pages they come from.

Decoding: the GWT-RPC answers, the rows in them and the trunks. Recording: into a SQLite file, with
its transaction. Both run in turns in the same process, so that whatever else the machine does hits
both; a figure is the median of the turns' ratios. Each turn records trunks made anew, as a refresh
does, so that none is the same object as before.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import read_page
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.gwt import decode
from vats_exporter.history.kept import KeptHistory
from vats_exporter.trunks import Snapshot, Trunk

WIRE = Path(__file__).parent.parent / "tests" / "wire"
PAGES = 100
TURNS = 15
GOAL = 0.1


def main() -> int:
    """Print each case's ratio beside its goal; exit 1 where one is missed."""
    page = (WIRE / "list_page100.txt").read_bytes()
    cases = [("nothing changed", 0), ("1 % of the trunks changed", 100)]
    missed = False
    print(f"{'record / decode, 10,000 trunks':38} {'median':>7} {'goal':>7}")
    for name, changed in cases:
        with tempfile.TemporaryDirectory() as folder:
            ratio = _ratio(page, changed, Path(folder) / "history.db")
        missed = missed or ratio > GOAL
        print(f"{name:38} {ratio:6.3f}x {GOAL:6.3f}x")
    return int(missed)


def _ratio(page: bytes, changed: int, path: Path) -> float:
    ratios = []
    with KeptHistory(path) as history:
        for turn in range(-1, TURNS):
            start = perf_counter()
            trunks = _decode(page)
            decoding = perf_counter() - start
            snapshot = Snapshot(tuple(_alter(trunks, turn, changed)), 1e9 + turn)
            start = perf_counter()
            history.record("office", snapshot)
            recording = perf_counter() - start
            assert not history.problem
            # The first is the baseline, which writes all trunks.
            if turn >= 0:
                assert len(history.changes("office")) == changed
                ratios.append(recording / decoding)
    return statistics.median(ratios)


def _decode(page: bytes) -> tuple[Trunk, ...]:
    trunks, _ = make_trunks([read_page(decode(page)) for _ in range(PAGES)], FlagPositions())
    return trunks


def _alter(trunks: tuple[Trunk, ...], turn: int, changed: int) -> list[Trunk]:
    """Tell the pages' trunks apart, and move one flag of some every turn, to and fro."""
    return [
        trunk._replace(
            ref=f"C{number:05}",
            flags=trunk.flags._replace(active=number < changed and turn % 2 == 0),
        )
        for number, trunk in enumerate(trunks)
    ]


if __name__ == "__main__":
    sys.exit(main())
