"""Telling the service manager how it goes: systemd's notification protocol.

A datagram of lines to the socket that ``NOTIFY_SOCKET`` names, as ``sd_notify(3)`` describes it.
Without the variable nobody is told, and nothing is done.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WATCHED_TWICE: Final = 2
"""Signs of life within the time after which the manager takes the process for hung."""


class ServiceManager:
    """The service manager that started the process, if one did.

    Args:
        environment: where it left its address; the process' own if not given.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        address = given.get("NOTIFY_SOCKET", "")
        # An address that starts with "@" is of Linux's abstract namespace.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = _watchdog_seconds(given)
        self._ended = threading.Event()

    def ready(self, status: str) -> None:
        """Say that the service is up.

        Args:
            status: a sentence for ``systemctl status``.
        """
        self._notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that the configuration is being read again; :meth:`ready` says that it was."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notify("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Say that the service ends, and give no more signs of life."""
        self._ended.set()
        self._notify("STOPPING=1")

    def watch(self, is_alive: Callable[[], bool]) -> None:
        """Give signs of life from a thread, as often as the manager wants them.

        Args:
            is_alive: says whether there is life; what it raises counts as none.
        """
        if not self._address or self._watchdog is None:
            return
        pause = self._watchdog / _WATCHED_TWICE

        def give_signs() -> None:
            while not self._ended.wait(pause):
                if is_alive():
                    self._notify("WATCHDOG=1")

        threading.Thread(target=give_signs, name="watchdog", daemon=True).start()

    def _notify(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.connect(self._address)
                sender.sendall("\n".join(lines).encode())
        except OSError:
            # The manager notices by itself that it is not told, and says so in its own log.
            return


def _watchdog_seconds(given: Mapping[str, str]) -> float | None:
    """Return the time after which the manager wants to have heard of this very process."""
    if given.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(given.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None
