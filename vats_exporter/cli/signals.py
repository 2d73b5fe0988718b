"""Doing as told: SIGTERM from a service manager and SIGINT from a keyboard end, SIGHUP reloads.

The kernel gives a signal to any thread of the process, and Python runs its handler in the main one
when that next runs Python. A main thread that waits in a system call is interrupted only by a
signal it is given itself; one that another thread took would be lost on it. So it waits for a byte
in a pipe, and the pipe is the one that Python's own handler, written in C, tells of every signal,
in whichever thread.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
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
    # A pipe, and no event or condition: their locks may be held by the very code that a handler
    # interrupts.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    ending = False

    def end(_number: int, _frame: object) -> None:
        nonlocal ending
        ending = True
        for one in _ENDS:
            signal.signal(one, signal.SIG_DFL)

    def again(_number: int, _frame: object) -> None:
        """Be there: the pipe is told of signals that have a handler, and of no others."""

    def wait() -> None:
        while True:
            wishes = set(os.read(told, 4096))
            # The flag is for a pipe that was full, of wishes to reload, when the one to end came.
            if ending or wishes & {*_ENDS}:
                return
            if reload is not None and signal.SIGHUP in wishes:
                reload()

    handlers = dict.fromkeys(_ENDS, end)
    if reload is not None:
        handlers[signal.SIGHUP] = again
    woken_before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken_before)
        os.close(told)
        os.close(tell)
