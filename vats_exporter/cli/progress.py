"""Progress bars: for people, on standard error, and only where something takes its time."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.progress import Progress

Item = TypeVar("Item")

_PATIENCE: Final = 1.0
"""Seconds that pass without a bar."""


def track(items: Iterable[Item], total: int, doing: str) -> Iterator[Item]:
    """Go through items, with a bar once it has taken longer than a second.

    Args:
        items: to go through.
        total: how many they are.
        doing: what stands before the bar.

    Yields:
        each item.
    """
    start = time.monotonic()
    bar: Progress | None = None
    try:
        for done, item in enumerate(items, 1):
            yield item
            if bar is None and done < total and time.monotonic() - start > _PATIENCE:
                bar = _start(doing, total)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done)
    finally:
        if bar is not None:
            bar.stop()


def _start(doing: str, total: int) -> Progress | None:
    if not sys.stderr.isatty():
        return None
    # Imported where it is needed: most commands are done before a bar would appear.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    bar = Progress(console=Console(stderr=True), transient=True)
    bar.add_task(doing, total=total)
    bar.start()
    return bar
