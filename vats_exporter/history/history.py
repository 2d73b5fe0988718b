"""What changed and when, of all accounts: in memory, and in a file as soon as one will have it.

Two locks: one for memory, held for milliseconds, and one for the file, which may be slow. A
failure of the file is a ``problem``, a warning in the log and a count, and no more. It is then
left alone for some seconds, so that many accounts do not each wait for the same lock; the first
record after that writes what all of them have gathered.

If the file could not be read when the process began, it is read as soon as it can be, and what
was recorded meanwhile is gone through again as its continuation: no event is lost or comes twice.
Counters cannot take up where the file left off then, since the series are at a lower value
already and a jump upwards would count as changes; they go on from there, as after a reset.

Old events are forgotten by the wall clock, which may be wrong: at a start without a battery, until
the network has told the time, or because somebody set it. A day that is a year ahead would forget
everything. So nothing is forgotten for an hour from the first record on, nor for an hour after the
wall clock moved by more than a minute against one that nobody sets. That is time enough: there are
no records without the network, which brings the right time too.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vats_exporter.history.events import HistoryError
from vats_exporter.history.file import Batch, CorruptError, HistoryFile
from vats_exporter.history.ledger import Ledger
from vats_exporter.logs.logger import get_logger
from vats_exporter.states import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from vats_exporter.history.events import Event
    from vats_exporter.history.file import Mark
    from vats_exporter.history.ledger import Changes, Delta
    from vats_exporter.trunks import Snapshot

DEFAULT_KEEP: Final = 90 * 86400.0
"""Seconds that events are kept."""

RETRY_PAUSE: Final = 5.0
"""Seconds that a file which failed is left alone."""

PRUNE_PAUSE: Final = 3600.0
"""Seconds between two prunings."""

PRUNE_GRACE: Final = 3600.0
"""Seconds without a pruning, from the first record or a jump of the wall clock on."""

CLOCK_JUMP: Final = 60.0
"""Seconds by which two records' times may be apart from what passed between them."""

PRUNE_LIMIT: Final = 10_000
"""Events that one pruning forgets at most; the next record goes on with the rest."""

MOST_WAITING: Final = 100_000
"""Events that wait for the file at most; then the oldest are dropped. Counters are not affected."""

_NOTHING: Final[Mapping[str, bool]] = {}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording a snapshot.

    Attributes:
        events: what it told that the one before did not; none for an account's first.
        saved: whether the file has all that was recorded so far; ``False`` without a file.
    """

    events: tuple[Event, ...]
    saved: bool


class History:
    """Remembers what every account's trunks did; never fails because of its file. Thread-safe.

    Args:
        path: the SQLite file, made if need be in a folder that exists; ``None`` remembers in
            memory alone.
        keep: seconds that events are kept in the file. Counters and the latest state of each trunk
            stay for as long as the file.
        clock: seconds that only go forward, since anything; the machine's by default, which also
            goes on while it is suspended.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        keep: float = DEFAULT_KEEP,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._keep = keep
        self._clock = clock or SystemClock().monotonic
        self._file = HistoryFile(path) if path is not None else None
        # Guarded by _memory.
        self._memory = threading.Lock()
        self._ledgers: dict[str, Ledger] = {}
        self._unsaved: set[str] = set()
        self._events: deque[Event] = deque(maxlen=MOST_WAITING)
        self._before_loading: dict[str, list[Delta]] | None = None if path is None else {}
        # Guarded by _writing, which is taken before _memory.
        self._writing = threading.Lock()
        self._mark: Mark | None = None
        self._in_flight: Batch | None = None
        self._retry_at = self._prune_at = self._move_aside_at = float("-inf")
        self._latest = float("-inf")
        self._ahead = float("inf")  # the wall clock, of the other one, at the latest record
        self._problem = ""
        self._errors = 0
        self._save()

    def __enter__(self) -> Self:
        """Nothing more to open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    @property
    def problem(self) -> str:
        """What keeps the file from being written, as a sentence; empty if nothing does."""
        return self._problem

    @property
    def errors_total(self) -> int:
        """How often the file could not be read or written."""
        return self._errors

    def record(
        self, account: str, snapshot: Snapshot, devices: Mapping[str, bool] = _NOTHING
    ) -> Recorded:
        """Take note of a snapshot; one that is not complete must never come here.

        Args:
            account: the account's name; its snapshots come one after the other.
            snapshot: what is missing in it counts as gone.
            devices: whether each trunk's SIP device is enabled, by reference, as far as is known;
                one that is left out has not changed.

        Returns:
            what it told. Never raises for the file's sake.
        """
        recorded = self._clock()  # before anything that may have to wait
        with self._memory:
            ledger = self._ledgers.setdefault(account, Ledger(account))
            delta = ledger.compare(snapshot, devices)
            events = ledger.apply(delta)
            if self._file is None:
                ledger.dirty.clear()
            elif self._before_loading is not None:
                _note(self._before_loading.setdefault(account, []), ledger, delta)
            else:
                self._events += events
                self._unsaved.add(account)
        return Recorded(tuple(events), self._save((snapshot.taken_at, recorded)))

    def changes(self, account: str) -> Changes:
        """How often, and when last, each flag of an account's trunks changed.

        Returns:
            by reference and flag (one of :data:`~vats_exporter.history.FLAGS`), those alone that
            ever changed; the mapping is never altered.
        """
        with self._memory:
            ledger = self._ledgers.get(account)
            return ledger.changes if ledger else {}

    def close(self) -> None:
        """Write what waits, if it can be written now, and close the file."""
        with self._writing:
            self._retry_at = float("-inf")
        self._save()
        if self._file is not None:
            with self._writing:
                self._file.close()

    def _save(self, times: tuple[float, float] | None = None) -> bool:
        """Write what the file does not have; whether it has everything now.

        Args:
            times: of a record, by the wall clock and by the other one.
        """
        if self._file is None:
            return False
        with self._writing:
            if times is not None:
                self._compare_clocks(*times)
            if self._clock() < self._retry_at:
                return False
            try:
                self._write(self._file)
            except CorruptError as error:
                return self._replace(self._file, error)
            except (HistoryError, OSError, sqlite3.Error) as error:
                self._fail(self._file, error)
                return False
            self._succeed(self._file)
            return True

    def _compare_clocks(self, latest: float, recorded: float) -> None:
        """Put off forgetting if this is the first record, or the wall clock has moved."""
        ahead = latest - recorded
        if abs(ahead - self._ahead) > CLOCK_JUMP:
            self._prune_at = recorded + PRUNE_GRACE
        self._latest, self._ahead = latest, ahead

    def _write(self, file: HistoryFile) -> None:
        """Bring the file up to date; holds _writing."""
        if not file.is_open or self._mark is None:
            self._open(file)
        while (batch := self._in_flight or self._gather()) is not None:
            self._in_flight = batch
            mark = self._mark
            if mark is None:  # pragma: no cover - _open has set it
                raise HistoryError(f"{file.path}: not open")
            file.write(batch, mark)
            self._arrived(mark)
        if self._latest > float("-inf") and self._clock() >= self._prune_at:
            more = file.prune(self._latest - self._keep, PRUNE_LIMIT)
            self._prune_at = self._clock() + (0.0 if more else PRUNE_PAUSE)

    def _open(self, file: HistoryFile) -> None:
        """Open the file, and find out what it has of what is known; holds _writing."""
        found = file.open()
        if self._before_loading is not None:
            loaded = file.load()
            with self._memory:
                self._continue(loaded)
        elif self._mark is None or found.identity != self._mark.identity:
            self._soil()
        elif self._in_flight and found.batch == self._mark.batch + 1:
            # It was committed after all.
            self._arrived(self._mark)
        elif found.batch != self._mark.batch:
            self._soil()
        self._mark = found

    def _arrived(self, before: Mark) -> None:
        self._in_flight = None
        self._mark = type(before)(before.identity, before.batch + 1)

    def _continue(self, loaded: dict[str, Ledger]) -> None:
        """Go through what was recorded before the file was read again; holds both locks."""
        for account, deltas in (self._before_loading or {}).items():
            older = loaded.setdefault(account, Ledger(account))
            older.restart_counters()
            self._events += older.replay(deltas)
            self._unsaved.add(account)
        self._ledgers = loaded
        self._before_loading = None

    def _soil(self) -> None:
        """Take everything for not written: the file is not the one that was written."""
        with self._memory:
            for ledger in self._ledgers.values():
                ledger.soil()
            self._unsaved.update(self._ledgers)

    def _gather(self) -> Batch | None:
        with self._memory:
            if not self._unsaved:
                return None
            ledgers = [self._ledgers[account] for account in sorted(self._unsaved)]
            batch = Batch.of(ledgers, tuple(self._events))
            for ledger in ledgers:
                ledger.dirty = set()
            self._unsaved = set()
            self._events.clear()
            return batch

    def _replace(self, file: HistoryFile, error: CorruptError) -> bool:
        """Move a damaged file aside and begin a new one, once an hour at most; holds _writing."""
        try:
            if self._clock() < self._move_aside_at:
                raise error
            aside = file.move_aside()
            self._errors += 1
            self._move_aside_at = self._clock() + PRUNE_PAUSE
            _log.warning("history file was damaged", error=str(error), moved_to=str(aside))
            self._write(file)
        except (HistoryError, OSError, sqlite3.Error) as again:
            self._fail(file, again)
            return False
        self._succeed(file)
        return True

    def _fail(self, file: HistoryFile, error: Exception) -> None:
        file.close()
        self._errors += 1
        self._retry_at = self._clock() + RETRY_PAUSE
        reason = error.strerror if isinstance(error, OSError) else None
        problem = (
            str(error) if isinstance(error, HistoryError) else f"{file.path}: {reason or error}"
        )
        if problem != self._problem:
            _log.warning("history is kept in memory only", error=problem)
        self._problem = problem

    def _succeed(self, file: HistoryFile) -> None:
        if self._problem:
            _log.info("history file is written again", file=str(file.path))
        self._problem = ""


def _note(deltas: list[Delta], ledger: Ledger, delta: Delta) -> None:
    """Keep what a file that could not be read yet will have to be told.

    Args:
        deltas: of the ledger's account, so far.
        ledger: with the new one applied.
        delta: the new one.
    """
    if not deltas:
        deltas.append(ledger.whole())
        return
    if len(deltas) > 1 and not deltas[-1].size:
        deltas.pop()
    deltas.append(delta)
    if sum(one.size for one in deltas[1:]) > MOST_WAITING:
        # The way here is forgotten, not where it led.
        deltas[:] = [ledger.whole()]
