"""A history that is kept in a file as well, as far as that can be written.

A thread compares what is known with what the file has, and writes the difference in one
transaction. If that fails, the next record tries again; what the file misses for ever is a flag
that changes and changes back meanwhile.

Old events are deleted by the wall clock, which may be wrong. So none are in the first hour, nor for
an hour after the wall clock moved by more than a minute against one that cannot be set.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from typing_extensions import Self

from vats_exporter.history.file import CorruptError, HistoryFile
from vats_exporter.history.history import Event, History, Ledger, events_between
from vats_exporter.logs import get_logger
from vats_exporter.trunks import Snapshot

# All in seconds.
PATIENCE: Final = 2.0  # that a record waits for the file: a disk that hangs must stop no refresh
RETRY_PAUSE: Final = 5.0  # that a file which failed is left alone
CLOCK_JUMP: Final = 60.0
HOUR: Final = 3600.0

_log = get_logger(__name__)


def open_history(path: Path | None, keep: float) -> History:
    """Open a history that is kept in a file, if one is given, and its events for some seconds."""
    return KeptHistory(path, keep=keep) if path else History()


class KeptHistory(History):
    """Remembers what every account's trunks did also after a restart. Never fails for its file.

    Events are kept for ``keep`` seconds, counters and the latest state of each trunk for as long as
    the file. ``clock`` gives seconds that only go forward.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep: float = 90 * 86400.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._path = path
        self._keep = keep
        self._clock = clock
        self._changed = threading.Condition(self._lock)  # guards all that both threads use
        self._before: dict[str, Ledger] = {}  # of each account what its latest record found
        self._ahead = math.inf  # the wall clock, of the other one, at the latest record
        self._trusted_at = math.inf  # from when on it may delete events
        self._asked = self._done = 0  # how often the file is to be written, and was
        self._closed = self._hangs = False
        # What follows is the thread's own.
        self._file = HistoryFile(path)
        self._was_read = False
        self._retry_at = self._move_aside_at = -math.inf
        threading.Thread(target=self._work, name="history", daemon=True).start()
        self._have_written(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(self, account: str, snapshot: Snapshot) -> None:
        """Take note of a snapshot, and have the file written."""
        with self._changed:
            before = self.known.get(account)
            super().record(account, snapshot)
            self._before[account] = before or self.known[account]
            now = self._clock()
            if abs(snapshot.taken_at - now - self._ahead) > CLOCK_JUMP:
                self._trusted_at = now + HOUR
            self._ahead = snapshot.taken_at - now
        if not self._closed:
            self._have_written(PATIENCE)

    def close(self, timeout: float = PATIENCE) -> None:
        """Write what the file lacks, if it can be written now, and close the file."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._hangs, self._retry_at = False, -math.inf  # it gets a last chance
                self._have_written(timeout)

    def _have_written(self, timeout: float) -> None:
        """Let the thread write, and wait for that unless the disk is known to hang."""
        with self._changed:
            self._asked += 1
            asked = self._asked
            self._changed.notify_all()
            patience = 0.0 if self._hangs else timeout
            if not self._changed.wait_for(lambda: self._done >= asked, patience):
                self._hangs = True
                self._fail("the disk does not answer")

    def _work(self) -> None:
        closed = False
        while not closed:
            with self._changed:
                self._changed.wait_for(lambda: self._done < self._asked)
                asked, closed = self._asked, self._closed
            self._save()
            if closed:
                self._file.close()
            with self._changed:
                self._done, self._hangs = asked, False
                self._changed.notify_all()

    def _save(self) -> None:
        """Write the file, or a new one, once an hour, in the place of one that is damaged."""
        if self._clock() < self._retry_at:
            return
        try:
            try:
                self._write()
            except CorruptError as error:
                if self._clock() < self._move_aside_at:
                    raise
                aside = self._file.move_aside()
                self._move_aside_at = self._clock() + HOUR
                self.errors_total += 1
                _log.warning("history file was damaged", error=str(error), moved_to=str(aside))
                self._write()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next record tries again
            self._file.close()
            self._retry_at = self._clock() + RETRY_PAUSE
            self._fail(str(getattr(error, "strerror", None) or error))
            return
        if self.problem:
            _log.info("history file is written again", file=str(self._path))
        self.problem = ""

    def _write(self) -> None:
        """Write what the file lacks, and delete what is too old."""
        if self._file.was_replaced:
            self._file.close()
            self.errors_total += 1
            _log.warning("history file was replaced", file=str(self._path))
        self._file.open()
        saved = self._file.saved
        with self._changed:
            if not self._was_read:
                for account, ledger in saved.items():
                    later = self.known.get(account)
                    self.known[account] = ledger.continued(later) if later else ledger
                    self._before[account] = ledger
                self._was_read = True
            known, before, now = dict(self.known), dict(self._before), self._clock()
            oldest = now + self._ahead - self._keep if now >= self._trusted_at else -math.inf
        states: dict[str, Ledger] = {}
        events: list[Event] = []
        for account, after in known.items():
            if after != saved.get(account):
                states[account] = after
                # Of an account that a lost file had, the latest events are all that is known.
                events += events_between(account, saved.get(account, before[account]), after)
        self._file.write(states, events, oldest)

    def _fail(self, reason: str) -> None:
        self.errors_total += 1
        path = str(self._path)
        problem = reason if reason.startswith(path) else f"{path}: {reason}"
        if problem != self.problem:
            _log.warning("history is kept in memory only", error=problem)
        self.problem = problem
