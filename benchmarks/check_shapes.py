"""Whether all answers and scripts of the corpora are read right, and how many.

``check_shapes.py [FOLDER]`` reads ``random``, ``single`` and ``hard`` (``tests/shapes/README.md``),
in both styles, without and with what a script tells: from FOLDER, with its whole scripts, or from
``tests/shapes`` where there is no such folder. Right is a page whose ids, four flags and number of
rows are the truth. A row or a phone that is read wrong, fewer right ones than the goal, or a script
that tells something else than it holds ends it with 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.corpus import CORPORA, SHAPES, lines, measure
from tests.gwt.compiled import wrong

if TYPE_CHECKING:
    from collections import Counter

LEAST: Final = {
    False: {"random": 0.98, "single": 1.0, "hard": 0.6},
    True: {"random": 1.0, "single": 1.0, "hard": 0.85},
}
"""Of the answers of each corpus, those right; without a script and with one."""

LEAST_PHONES: Final = {False: 0.95, True: 1.0}


def main() -> None:
    """Print the table, and end with 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=SHAPES)
    folder = parser.parse_args().folder
    if not folder.exists():
        print(f"{folder} is not there: reading {SHAPES}")
        folder = SHAPES
    failures = print_table(folder) + [
        failure for corpus in CORPORA for failure in check_scripts(corpus, folder)
    ]
    print(*failures, sep="\n")
    sys.exit(bool(failures))


def print_table(folder: Path) -> list[str]:
    """Print how many answers of each corpus, and phones, are right; say what falls short."""
    print(f"{'':14} {'answers':>8} {'right':>7} {'refused':>8} {'wrong':>6}   {'phones right':>18}")
    failures = []
    for by_script, reader in ((False, "by block"), (True, "by script")):
        for corpus in CORPORA:
            counts = measure(corpus, folder, by_script=by_script)
            right = counts["right"] / counts["answers"]
            phones = counts["phones right"] / counts["phones"]
            print(
                f"{corpus:7}{reader:>10}{counts['answers']:7} {right:7.2%} {counts['refused']:8}"
                f" {counts['wrong']:6}   {phones:8.2%} of {counts['phones']}"
            )
            if falls_short(counts, LEAST[by_script][corpus], LEAST_PHONES[by_script]):
                failures.append(f"{corpus} {reader}: falls short of the goal")
    return failures


def falls_short(counts: Counter[str], least: float, least_phones: float) -> bool:
    """Whether anything was read wrong, or too little right."""
    return bool(
        counts["wrong"]
        or counts["phones wrong"]
        or counts["right"] < least * counts["answers"]
        or counts["phones right"] < least_phones * counts["phones"]
    )


def check_scripts(corpus: str, folder: Path) -> list[str]:
    """What a corpus's scripts tell otherwise than they hold."""
    file = folder / f"{corpus}_scripts.jsonl.gz"
    if not file.exists():
        return []
    failures = []
    count = 0
    for case in lines(file):
        count += 1
        failures += [f"{corpus} script {case['number']}: {what}" for what in wrong(case)]
    print(f"{corpus}: {count} scripts, {len(failures)} differences")
    return failures


if __name__ == "__main__":
    main()
