"""Ending when told to: SIGTERM from a service manager, SIGINT from a keyboard."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def told_to_end() -> Iterator[Callable[[], None]]:
    """Take SIGTERM and SIGINT as a wish to end, from here on.

    The first one is remembered, also if it comes before anybody waits. A second one ends the
    process at once, as it would without this.

    Yields:
        what waits for the first one.
    """
    # A pipe, and no event or condition: their locks may be held by the very code that the handler
    # interrupts.
    told, tell = os.pipe()

    def end(number: int, _frame: object) -> None:
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        os.write(tell, bytes([number]))

    def wait() -> None:
        os.read(told, 1)

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        os.close(tell)
