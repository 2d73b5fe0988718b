"""Doing as told: SIGTERM from a service manager and SIGINT from a keyboard end, SIGHUP reloads."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ENDS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def told_to_end(reload: Callable[[], object] | None = None) -> Iterator[Callable[[], None]]:
    """Take SIGTERM and SIGINT as a wish to end, from here on, and SIGHUP as one to reload.

    The first one is remembered, also if it comes before anybody waits. A second one ends the
    process at once, as it would without this.

    Args:
        reload: called for each SIGHUP, in the thread that waits; without it, SIGHUP ends the
            process as it does anyway.

    Yields:
        what waits for the end, and reloads meanwhile.
    """
    # A pipe, and no event or condition: their locks may be held by the very code that the handler
    # interrupts.
    told, tell = os.pipe()
    os.set_blocking(tell, False)

    def end(number: int, _frame: object) -> None:
        for one in _ENDS:
            signal.signal(one, signal.SIG_DFL)
        _write(number)

    def again(number: int, _frame: object) -> None:
        _write(number)

    def _write(number: int) -> None:
        with suppress(BlockingIOError):  # full of wishes to reload, of which one is enough
            os.write(tell, bytes([number]))

    def wait() -> None:
        while True:
            wishes = set(os.read(told, 4096))
            if wishes & {*_ENDS}:
                return
            if reload is not None:  # pragma: no branch - no other wish is noted without it
                reload()

    handlers = dict.fromkeys(_ENDS, end)
    if reload is not None:
        handlers[signal.SIGHUP] = again
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        os.close(tell)
