"""Signals: SIGTERM and Ctrl-C end the program in good order, SIGHUP reloads its configuration.

A signal may be taken by any thread of the process, and Python runs its handler in the main one
when that next runs Python. A main thread that waits in a system call is interrupted only by a
signal it is given itself; one that another thread took would be lost on it. So it waits for a byte
in a pipe, and the pipe is the one that Python's own handler, written in C, writes every signal to,
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


def let_hangups_in() -> None:
    """Deliver a SIGHUP at once again: the program begins with keeping it until it is handled."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@contextmanager
def handled(reload: Callable[[], object] | None = None) -> Iterator[Callable[[], None]]:
    """Take SIGTERM and SIGINT as a request to end, from here on, and SIGHUP as one to reload.

    The first request to end is remembered, also if it comes before anything waits for it; a SIGHUP
    after it is ignored. A second one ends the process at once, as it would without this.

    Args:
        reload: called for each SIGHUP, in the thread that waits; without it, SIGHUP ends the
            process as it does by default.

    Yields:
        what waits for the end, and reloads meanwhile.
    """
    # A pipe, and no event or condition: their locks may be held by the very code that a handler
    # interrupts.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    ending = False

    def end(_number: int, _frame: object) -> None:
        nonlocal ending
        ending = True
        for one in _ENDS:
            signal.signal(one, signal.SIG_DFL)
        if reload is not None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def again(_number: int, _frame: object) -> None:
        """Be there: the pipe gets signals that have a handler, and no others."""

    def wait() -> None:
        while True:
            requests = set(os.read(reading, 4096))
            # The flag is for a pipe that was full, of requests to reload, when the one to end came.
            if ending or requests & {*_ENDS}:
                return
            if reload is not None and signal.SIGHUP in requests:
                reload()

    handlers = dict.fromkeys(_ENDS, end)
    if reload is not None:
        handlers[signal.SIGHUP] = again
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    let_hangups_in()
    try:
        yield wait
    finally:
        if ending:  # a hangup must not end the process now that it ends by itself
            before.pop(signal.SIGHUP, None)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken_before)
        os.close(reading)
        os.close(writing)
