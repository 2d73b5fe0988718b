"""What ends a process, what it is granted, and what systemd is told of it."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_ENDS: Final = {signal.SIGTERM, signal.SIGINT}


def keep_signals(*others: signal.Signals) -> None:
    """Keep SIGTERM, SIGINT and others from here on until :func:`wait_for_end` takes them.

    Threads have to be started later: a signal goes to any thread that does not block it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDS, *others})
    # Once it ends, a second Ctrl-C does as a second SIGTERM, and raises no exception.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def take_all_descriptors() -> None:
    """Raise the limit of open files to the most that is granted, as Go programs do.

    The usual one, 1024, is for programs that wait by select(), and each connection is one.
    """
    with suppress(OSError, ValueError):  # the most may be no number that can be asked for
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def wait_for_end(reload: Callable[[], object] | None = None) -> None:
    """Wait for a SIGTERM or SIGINT; a second one ends the process at once.

    Calls *reload*, if it is given, for a SIGHUP that comes before.
    """
    awaited = {*_ENDS, signal.SIGHUP} if reload else _ENDS
    while signal.sigwait(awaited) not in _ENDS:
        if reload and _ENDS.isdisjoint(signal.sigpending()):
            reload()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)


def notify(*lines: str) -> None:
    """Tell systemd, if it is to be told, as ``sd_notify(3)`` does."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        # systemd notices by itself that it is not told, and says so in its own log.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            # "@" stands for the NUL that begins a name of Linux's abstract namespace.
            sender.sendto("\n".join(lines).encode(), re.sub("^@", "\0", address))


def give_signs_of_life(is_alive: Callable[[], bool]) -> None:
    """Tell systemd that the service is alive, from a thread, twice in the time it waits for it."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pause = int(microseconds) / 2e6 if microseconds.isdecimal() else 0.0

    def give_signs() -> None:
        while True:
            time.sleep(pause)
            if is_alive():
                notify("WATCHDOG=1")

    if pause:
        threading.Thread(target=give_signs, name="watchdog", daemon=True).start()


def serve_until_end(
    status: Callable[[], str], *, reload: Callable[[], object], is_alive: Callable[[], bool]
) -> None:
    """Wait for the end of a service that is ready, and tell systemd of it meanwhile."""

    def ready() -> None:
        notify("READY=1", f"STATUS={status()}")

    def begin_again() -> None:
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        reload()
        ready()

    ready()
    give_signs_of_life(is_alive)
    wait_for_end(begin_again)
    notify("STOPPING=1")
