"""What the reader of compiled scripts makes of real GWT applications.

``check_scripts.py FOLDER`` looks for permutations (``{strong name}.cache.js``, ``.cache.html``) in
a folder and below, reads each with its deferred fragments, and prints how many classes it reads,
how many the client never reads, how many are not understood and why, and how many services and
methods are found. The memory is the most of the process so far.
"""

from __future__ import annotations

import argparse
import re
import resource
from collections import Counter
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from vats_exporter.gwt import GwtError, NotUnderstood
from vats_exporter.gwt.script import read_script

if TYPE_CHECKING:
    from collections.abc import Iterator

PERMUTATION = re.compile(r"([0-9A-F]{32})\.cache\.(?:js|html)")
VERSION = re.compile(r"gwt_version ?= ?\\?[\"']([^\"'\\]{1,40})")
COLUMNS = ("read", "never", "odd", "written", "services", "methods", "MB", "s", "MB RAM")


def main() -> None:
    """Print a line for each permutation, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quiet", action="store_true", help="print only the last lines")
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    print(f"{'permutation':60} {'GWT':8}" + "".join(f"{name:>9}" for name in COLUMNS))
    for file, strong_name in permutations(arguments.folder):
        texts = [text(part) for part in (file, *fragments(file, strong_name))]
        version = VERSION.search(texts[0])
        started = process_time()
        try:
            script = read_script(*texts)
        except GwtError as error:
            print(f"{file}: {error}")
            total["refused"] += 1
            continue
        seconds = process_time() - started
        found = script.classes.values()
        odd = [fields.reason for fields in found if isinstance(fields, NotUnderstood)]
        counts = {
            "read": sum(isinstance(fields, tuple) for fields in found),
            "never": sum(fields is None for fields in found),
            "odd": len(odd),
            "written": len(script.requests),
            "services": len(script.policies),
            "methods": len(script.methods),
        }
        total += Counter(counts) + Counter(permutations=1, fragments=len(texts) - 1)
        total["with classes"] += bool(found)
        reasons += Counter(odd)
        versions[version[1] if version else "?"] += 1
        name = str(file.relative_to(arguments.folder))[-60:]
        figures = (sum(map(len, texts)) / 1e6, seconds, peak_memory())
        if not arguments.quiet:
            print(
                f"{name:60} {version[1] if version else '?':8}"
                + "".join(f"{count:9}" for count in counts.values())
                + "".join(f"{figure:9.2f}" for figure in figures)
            )
    print(dict(total))
    print("releases:", dict(sorted(versions.items())))
    print("not understood:", dict(reasons) or "none")


def permutations(folder: Path) -> Iterator[tuple[Path, str]]:
    """The permutations in a folder and below, each with its strong name."""
    for file in sorted(folder.rglob("*.cache.*")):
        name = PERMUTATION.fullmatch(file.name)
        if name and file.is_file() and not text(file).startswith("version https://git-lfs"):
            yield file, name[1]


def fragments(file: Path, strong_name: str) -> list[Path]:
    """A permutation's deferred fragments, by number."""
    found = file.parent.glob(f"deferredjs/{strong_name}/*.cache.js")
    return sorted(found, key=lambda part: int(part.name.partition(".")[0]))


def text(file: Path) -> str:
    """A file's text."""
    return file.read_text(encoding="utf-8", errors="replace")


def peak_memory() -> float:
    """The most memory that this process has had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
