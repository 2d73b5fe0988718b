"""What changed and when, of all accounts: in memory, and in a file as far as one can be written.

After each record, a thread compares the account with what the file has and writes the difference,
in one transaction. If that fails, it is a ``problem``, a warning in the log and a count, and the
account's next record tries again. What the file misses for ever is a flag that changes and changes
back while it cannot be written.

Old events are deleted by the wall clock, which may be wrong: at a start without a battery, or
because it was set. So nothing is deleted in the first hour, nor for an hour after the wall
clock moved by more than a minute against one that cannot be set.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from typing_extensions import Self

from vats_exporter.history.file import CorruptError, HistoryFile, move_aside
from vats_exporter.history.ledger import Changes, Event, HistoryError, Ledger, events_between, see
from vats_exporter.logs.logger import get_logger
from vats_exporter.trunks import Snapshot

PATIENCE: Final = 2.0
"""Seconds that a record waits for the file; a disk that hangs must not stop a refresh."""

RETRY_PAUSE: Final = 5.0
"""Seconds that a file which failed is left alone."""

HOUR: Final = 3600.0
CLOCK_JUMP: Final = 60.0
PRUNE_LIMIT: Final = 10_000
"""Events that are deleted at a time; the next record continues with the rest."""

_log = get_logger(__name__)


class History:
    """Remembers what every account's trunks did. Never fails because of its file. Thread-safe.

    Without a path, in memory alone. Events are kept for ``keep`` seconds, counters and the latest
    state of each trunk for as long as the file. ``clock`` gives seconds that only go forward.

    Attributes:
        problem: what keeps the file from being written, as a sentence; empty if nothing does.
        errors_total: how often it could not be read or written.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        keep: float = 90 * 86400.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = ""
        self.errors_total = 0
        self._clock = clock
        self._live: dict[str, Ledger] = {}
        self._lock = threading.Lock()  # guards it
        self._in_memory = path is None
        self._path = path or Path()
        self._hangs = False
        self._turn = threading.Lock()  # of whoever uses the file, and with it all below
        self._keep = keep
        self._file: HistoryFile | None = None
        self._saved: dict[str, Ledger] | None = None  # None until a file was read
        self._retry_at = self._move_aside_at = self._prune_at = float("-inf")
        self._ahead = float("inf")  # the wall clock, of the other one, at the latest record
        self._in_thread(partial(self._save, "", ()), PATIENCE)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def record(self, account: str, snapshot: Snapshot) -> tuple[Event, ...]:
        """Take note of an account's next, complete snapshot, and return what it changes."""
        at, seen = snapshot.taken_at, see(snapshot)
        with self._lock:
            old = self._live.get(account)
            new = self._live[account] = old.follow(seen, at) if old else Ledger(at, seen)
        events = events_between(account, old, new) if old else ()
        self._in_thread(partial(self._save, account, events), PATIENCE)
        return events

    def changes(self, account: str) -> Changes:
        """Return how often, and when last, the flags of an account's trunks changed."""
        ledger = self._live.get(account)
        return ledger.changes if ledger else {}

    def close(self, timeout: float = PATIENCE) -> None:
        """Write what the file lacks, if it can be written now, and close the file."""
        self._hangs = False  # it gets a last chance
        self._in_thread(self._finish, timeout)

    def _in_thread(self, work: Callable[[], None], timeout: float) -> None:
        """Use the file, one at a time, and wait for that unless the disk is known to hang."""
        if self._in_memory:
            return
        deadline = time.monotonic() + timeout
        self._hangs = not self._turn.acquire(timeout=0 if self._hangs else timeout)
        if not self._hangs:
            thread = threading.Thread(target=self._take_turn, args=(work,), daemon=True)
            thread.start()
            thread.join(max(0.0, deadline - time.monotonic()))
            self._hangs = thread.is_alive()
        if self._hangs:
            self._fail("the disk does not answer")

    def _take_turn(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._turn.release()

    def _finish(self) -> None:
        self._retry_at = float("-inf")
        for account in tuple(self._live):
            self._save(account, ())
        self._close_file()

    def _save(self, account: str, events: tuple[Event, ...]) -> None:
        """Save an account, with its latest events; or only open the file."""
        if self._clock() < self._retry_at:
            return
        try:
            try:
                self._write(account, events)
            except CorruptError as error:
                self._move_aside(error)
                self._write(account, events)
        except (HistoryError, OSError, sqlite3.Error) as error:
            self._close_file()
            self._retry_at = self._clock() + RETRY_PAUSE
            self._fail(str(getattr(error, "strerror", None) or error))
            return
        if self.problem:
            _log.info("history file is written again", file=str(self._path))
        self.problem = ""

    def _write(self, account: str, events: tuple[Event, ...]) -> None:
        file, saved = self._open()
        with self._lock:
            new = self._live.get(account)
        if new is None:
            return
        old = saved.get(account)
        if new != old:
            # Of an account that a lost file had, the latest events are all that is known.
            file.write(account, new, events_between(account, old, new) if old else events)
            saved[account] = new
        self._prune(file, new.at)

    def _open(self) -> tuple[HistoryFile, dict[str, Ledger]]:
        """Return the file, and what it has of each account."""
        if self._file is not None and not self._file.is_in_place:
            self._close_file()
            self.errors_total += 1
            _log.warning("history file was replaced", file=str(self._path))
        if self._file is None or self._saved is None:
            self._file = HistoryFile(self._path)
            loaded = self._file.load()
            if self._saved is None:
                with self._lock:
                    for account, ledger in loaded.items():
                        live = self._live.get(account)
                        self._live[account] = ledger.continued(live) if live else ledger
            self._saved = loaded
        return self._file, self._saved

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _move_aside(self, error: CorruptError) -> None:
        """Make room for a new file, once an hour at most."""
        self._close_file()
        if self._clock() < self._move_aside_at:
            raise error
        aside = move_aside(self._path)
        self.errors_total += 1
        self._move_aside_at = self._clock() + HOUR
        _log.warning("history file was damaged", error=str(error), moved_to=str(aside))

    def _prune(self, file: HistoryFile, at: float) -> None:
        """Delete old events, unless this is the first record, or the wall clock has moved."""
        now = self._clock()
        if abs(at - now - self._ahead) > CLOCK_JUMP:
            self._prune_at = now + HOUR
        self._ahead = at - now
        if now >= self._prune_at:
            more = file.prune(at - self._keep, PRUNE_LIMIT)
            self._prune_at = now + (0.0 if more else HOUR)

    def _fail(self, reason: str) -> None:
        self.errors_total += 1
        path = str(self._path)
        problem = reason if reason.startswith(path) else f"{path}: {reason}"
        if problem != self.problem:
            _log.warning("history is kept in memory only", error=problem)
        self.problem = problem
