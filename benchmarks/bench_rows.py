"""How many answers of the corpora are read right, and how long a page of 100 rows takes.

The table is that of ``check_shapes.py``. The time is that of decoding an answer and reading it, as
a ratio to ``json.loads`` of the equivalent JSON: by the block alone, and by the script and the
block, as the exporter reads; ``trunks`` has in addition what its rows mean. Both sides run in turns
in the same process; a page's ratio is the median of its turns'. Given is the median of all pages,
and the slowest.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.bench_decode import seconds
from benchmarks.check_shapes import print_table
from tests.corpus import SHAPES, shapes
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import ClassTable, read_page
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.gwt import decode

if TYPE_CHECKING:
    from vats_exporter.cabinet.reading import Page

SHARED: Final = Path(__file__).parents[2] / "shared" / "shapes"
WIRE: Final = Path(__file__).parents[1] / "tests" / "wire"
TURNS: Final = 15
SECONDS_A_TURN: Final = 0.005
POSITIONS: Final = FlagPositions()


def main() -> None:
    """Print the table, and the ratios beside their goals."""
    print_table(SHARED if SHARED.exists() else SHAPES)
    pages: list[tuple[str, ClassTable | None]] = [
        ((WIRE / "list_page100.txt").read_text("utf-8"), None),
        *(
            (shape.text, ClassTable(shape.classes) if shape.classes else None)
            for shape in shapes("random")
            if len(shape.rows) == 100
        ),
    ]
    print(
        f"\n{'read / json.loads, 100 rows':46} {'page':>6} {'trunks':>7} {'slowest':>8} {'goal':>5}"
    )
    for name, goal, tables in (
        ("by the block alone", 10, [(text, None) for text, _ in pages]),
        ("by the script and the block", 16, [(text, table) for text, table in pages if table]),
    ):
        of_pages, of_trunks = zip(*(ratios(text, table) for text, table in tables), strict=True)
        figures = map(statistics.median, (of_pages, of_trunks))
        title = f"{name}, {len(tables)} pages"
        print(
            f"{title:46}"
            + "".join(f"{figure:7.1f}x" for figure in (*figures, max(of_pages)))
            + f"{goal:5}x"
        )


def ratios(text: str, table: ClassTable | None) -> tuple[float, float]:
    """How many times longer than its JSON a page takes to read; without and with its trunks."""
    answer = text.encode()
    response = decode(answer)
    elements = [*response.tokens, response.string_table, response.flags, response.version]
    equivalent = json.dumps(elements, ensure_ascii=False, separators=(",", ":")).encode()

    def page() -> Page:
        return read_page(decode(answer), table)

    def trunks() -> None:
        make_trunks([page()], POSITIONS)

    calls = max(1, round(SECONDS_A_TURN / seconds(trunks, 2)))
    of_pages, of_trunks = [], []
    for _ in range(TURNS):
        plain = seconds(lambda: json.loads(equivalent), 10 * calls)
        of_pages.append(seconds(page, calls) / plain)
        of_trunks.append(seconds(trunks, calls) / plain)
    return statistics.median(of_pages), statistics.median(of_trunks)


if __name__ == "__main__":
    main()
