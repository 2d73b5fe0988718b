"""What changed and when, of all accounts: in memory, and in a file as far as one can be written.

Memory is the truth while the process runs. After each record, a thread compares the account with
what the file has and writes the difference, in one transaction. If that fails, it is a
``problem``, a warning in the log and a count, and the account's next record tries again. What the
file misses for ever is a flag that changes and changes back while it cannot be written.

Old events are deleted by the wall clock, which may be wrong: at a start without a battery, or
because it was set. So nothing is deleted in the first hour, nor for an hour after the wall
clock moved by more than a minute against one that cannot be set.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vats_exporter.clock import SystemClock
from vats_exporter.history.file import CorruptError, HistoryFile
from vats_exporter.history.ledger import HistoryError, Ledger, events_between, see
from vats_exporter.logs.logger import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    from vats_exporter.history.ledger import Changes, Event
    from vats_exporter.trunks import Snapshot

DEFAULT_KEEP: Final = 90 * 86400.0
"""Seconds that events are kept."""

PATIENCE: Final = 2.0
"""Seconds that a record waits for the file; a disk that hangs must not stop a refresh."""

RETRY_PAUSE: Final = 5.0
"""Seconds that a file which failed is left alone."""

HOUR: Final = 3600.0
CLOCK_JUMP: Final = 60.0
PRUNE_LIMIT: Final = 10_000
"""Events that are deleted at a time; the next record continues with the rest."""

_log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Task:
    """An account to be saved, with the events and the times of its latest snapshot."""

    account: str = ""
    events: tuple[Event, ...] = ()
    at: float = 0.0
    tick: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)


class History:
    """Remembers what every account's trunks did. Never fails because of its file. Thread-safe.

    Args:
        path: the SQLite file, made if need be in a folder that exists; ``None`` for memory alone.
        keep: seconds that events are kept in the file. Counters and the latest state of each trunk
            stay for as long as the file.
        clock: seconds that only go forward; the machine's by default.

    Attributes:
        problem: what keeps the file from being written, as a sentence; empty if nothing does.
        errors_total: how often it could not be read or written.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        keep: float = DEFAULT_KEEP,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.problem = ""
        self.errors_total = 0
        self._keep = keep
        self._clock = clock or SystemClock().monotonic
        self._live: dict[str, Ledger] = {}
        self._tasks: dict[str, _Task] = {}
        self._wake = threading.Condition()  # guards the two above
        self._closing = self._hangs = False
        self._thread: threading.Thread | None = None
        if path is not None:  # all below is the thread's
            self._file = HistoryFile(path)
            self._saved: dict[str, Ledger] = {}
            self._identity = ""
            self._retry_at = self._move_aside_at = self._prune_at = float("-inf")
            self._ahead = float("inf")  # the wall clock, of the other one, at the latest record
            self._thread = threading.Thread(target=self._run, name="history", daemon=True)
            self._thread.start()
            self._submit(_Task())

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def record(self, account: str, snapshot: Snapshot) -> tuple[Event, ...]:
        """Take note of an account's next, complete snapshot, and return what it changes."""
        at, tick = snapshot.taken_at, self._clock()
        with self._wake:
            old = self._live.get(account)
            new = old.follow(see(snapshot), at) if old else Ledger(at, see(snapshot))
            self._live[account] = new
        events = events_between(account, old, new) if old else ()
        if self._thread is not None:
            self._submit(_Task(account, events, at, tick))
        return events

    def changes(self, account: str) -> Changes:
        """Return how often, and when last, the flags of an account's trunks changed."""
        ledger = self._live.get(account)
        return ledger.changes if ledger else {}

    def close(self, timeout: float = PATIENCE) -> None:
        """Write what the file lacks, if it can be written now, and close the file."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _submit(self, task: _Task) -> None:
        """Let the thread save an account, and wait for it unless it hangs."""
        with self._wake:
            self._tasks[task.account] = task
            self._wake.notify()
        if not self._hangs and not task.done.wait(PATIENCE):
            self._hangs = True
            self._fail("the disk does not answer")

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._tasks or self._closing)
                if not self._tasks:
                    break
                task = self._tasks.pop(next(iter(self._tasks)))
            self._save(task)
            self._hangs = False
            task.done.set()
        self._retry_at = float("-inf")
        for account in self._live:
            self._save(_Task(account))
        self._file.close()

    def _save(self, task: _Task) -> None:
        if task.at:
            self._compare_clocks(task.at, task.tick)
        if self._clock() < self._retry_at:
            return
        try:
            try:
                self._write(task)
            except CorruptError as error:
                self._move_aside(error)
                self._write(task)
        except (HistoryError, OSError, sqlite3.Error) as error:
            self._file.close()
            self._retry_at = self._clock() + RETRY_PAUSE
            self._fail(str(getattr(error, "strerror", None) or error))
            return
        if self.problem:
            _log.info("history file is written again", file=str(self._file.path))
        self.problem = ""

    def _write(self, task: _Task) -> None:
        if not self._file.is_open:
            self._open()
        account, old = task.account, self._saved.get(task.account)
        with self._wake:
            new = self._live.get(account)
        if new is not None and new is not old:
            # Of an account that a lost file had, the latest events are all that is known.
            events = events_between(account, old, new) if old else task.events
            self._file.write(account, old, new, events)
            self._saved[account] = new
        if task.at and self._clock() >= self._prune_at:
            more = self._file.prune(task.at - self._keep, PRUNE_LIMIT)
            self._prune_at = self._clock() + (0.0 if more else HOUR)

    def _open(self) -> None:
        loaded = self._file.open()
        if not self._identity:
            with self._wake:
                for account, ledger in loaded.items():
                    live = self._live.get(account)
                    self._live[account] = ledger.continued(live) if live else ledger
        elif self._identity != self._file.identity:
            self.errors_total += 1
            _log.warning("history file was replaced", file=str(self._file.path))
        self._identity, self._saved = self._file.identity, loaded

    def _move_aside(self, error: CorruptError) -> None:
        """Make room for a new file, once an hour at most."""
        self._file.close()
        if self._clock() < self._move_aside_at:
            raise error
        aside = self._file.move_aside()
        self.errors_total += 1
        self._move_aside_at = self._clock() + HOUR
        self._identity = ""
        _log.warning("history file was damaged", error=str(error), moved_to=str(aside))

    def _compare_clocks(self, at: float, tick: float) -> None:
        """Put off deleting if this is the first record, or the wall clock has moved."""
        if abs(at - tick - self._ahead) > CLOCK_JUMP:
            self._prune_at = tick + HOUR
        self._ahead = at - tick

    def _fail(self, reason: str) -> None:
        self.errors_total += 1
        path = str(self._file.path)
        problem = reason if reason.startswith(path) else f"{path}: {reason}"
        if problem != self.problem:
            _log.warning("history is kept in memory only", error=problem)
        self.problem = problem
