"""Which trunks' details to ask for next, and what is known of them meanwhile.

A trunk's details (its selector, its SIP line, its phone where the list does not tell) cost one or
two requests each, so they follow a slower schedule of their own, apart from the flags:

* trunks never asked for come first, in the list's order; then those asked for longest ago, once
  their ``ttl`` has passed;
* one run asks for a few only, so that neither a restart nor a new account asks for all at once:
  all are known a quarter of the ``ttl`` after a start;
* a trunk whose details fail keeps what it had, and takes its turn again.

Knows no HTTP: whoever runs it gives the function that reads one trunk's details.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vats_exporter.cabinet.devices import Details
    from vats_exporter.trunks import Trunk

MIN_BATCH: Final = 10
"""Trunks asked for in one run at least: small accounts are complete after a few refreshes."""

CATCH_UP: Final = 4
"""All of an account's trunks take this part of the ``ttl`` to be asked for once."""


@dataclass(frozen=True, slots=True)
class _Entry:
    asked: float
    details: Details | None


class DetailsBook:
    """What is known of the details of one account's trunks.

    Args:
        ttl: seconds after which a trunk's details are asked for again.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._last_run: float | None = None

    def due(self, trunks: Sequence[Trunk], now: float) -> list[str]:
        """The references to ask for in this run, in order; forget trunks that are gone.

        Args:
            trunks: the account's trunks.
            now: a monotonic time in seconds.
        """
        with self._lock:
            entries = self._entries
            present = {trunk.ref for trunk in trunks}
            for ref in entries.keys() - present:
                del entries[ref]
            new = [trunk.ref for trunk in trunks if trunk.ref not in entries]
            old = sorted(
                (entry.asked, ref)
                for ref, entry in entries.items()
                if now - entry.asked >= self._ttl
            )
            elapsed = now - self._last_run if self._last_run is not None else 0.0
            self._last_run = now
            paced = math.ceil(CATCH_UP * len(present) * elapsed / self._ttl) if self._ttl else 0
            return [*new, *(ref for _, ref in old)][: max(MIN_BATCH, paced)]

    def put(self, ref: str, details: Details, now: float) -> None:
        """Keep what was read of a trunk."""
        with self._lock:
            self._entries[ref] = _Entry(now, details)

    def failed(self, ref: str, now: float) -> None:
        """Note that a trunk was asked for in vain: it keeps what it had."""
        with self._lock:
            known = self._entries.get(ref)
            self._entries[ref] = _Entry(now, known.details if known else None)

    def apply(self, trunks: Sequence[Trunk]) -> tuple[Trunk, ...]:
        """Add to the trunks what is known: line, selector, and the phone where it is empty."""
        with self._lock:
            known: Mapping[str, _Entry] = dict(self._entries)
        return tuple(
            _with_details(trunk, entry.details)
            if (entry := known.get(trunk.ref)) and entry.details
            else trunk
            for trunk in trunks
        )


def _with_details(trunk: Trunk, details: Details) -> Trunk:
    return replace(
        trunk,
        phone=trunk.phone or details.phone,
        line=details.line,
        sip_device_enabled=details.device.enabled if details.device else None,
    )
