"""Rendering 10,000 trunks, beside prometheus_client's ``generate_latest`` of the same families.

Goals: at least 15 times as fast, the same bytes, and at most 4 times the page in memory.
"""

from __future__ import annotations

import gc
import gzip
import time
import tracemalloc
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from vats_exporter.history.history import Change
from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.exposition import HEADERS, Exposition, Format, render_snapshot
from vats_exporter.redaction import Privacy
from vats_exporter.trunks import ROW_FLAGS, Flags, Snapshot, Trunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TRUNKS = 10_000
CHANGES = {(f"Ca{number:04x}", "active"): Change(2, 1.7e9) for number in range(0, TRUNKS, 50)}
# Flags, their changes, and the name; when those changed that did.
SAMPLES = TRUNKS * (2 * len(ROW_FLAGS) + 1) + len(CHANGES)


def make_snapshot(count: int) -> Snapshot:
    """Invent trunks: every hundredth with a name that needs escaping."""
    return Snapshot(
        tuple(
            Trunk(
                ref=f"Ca{number:04x}",
                id=number,
                phone=f"7916{number:07d}",
                name=f'ООО "Ромашка" {number}' if number % 100 == 0 else f"Иванов Иван {number}",
                flags=Flags(number % 7 != 0, number % 5 != 0, number % 11 == 0),
                pattern="1100",
                known=True,
            )
            for number in range(count)
        ),
        taken_at=1_750_000_000.0,
    )


class ClientLibrary:
    """The same families as prometheus_client would have them collected."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Make the families anew, as a collector does in every scrape."""
        trunks = self._snapshot.trunks
        for flag in ROW_FLAGS:
            metric = metrics.TRUNK_FLAGS[flag]
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for trunk in trunks:
                family.add_metric(["acme", trunk.ref, trunk.phone], bool(flag.of(trunk)))
            yield family
        metric = metrics.TRUNK_INFO
        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for trunk in trunks:
            family.add_metric(["acme", trunk.ref, trunk.phone, trunk.name, ""], 1.0)
        yield family
        metric = metrics.TRUNK_FLAG_CHANGES
        changes = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        metric = metrics.TRUNK_FLAG_CHANGED_TIMESTAMP
        dates = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for flag in ROW_FLAGS:
            for trunk in trunks:
                change = CHANGES.get((trunk.ref, flag.key))
                labels = ["acme", trunk.ref, trunk.phone, flag.key]
                changes.add_metric(labels, change.total if change else 0.0)
                if change:
                    dates.add_metric(labels, change.last_changed)
        yield changes
        yield dates


class Collected:
    """Families that were collected before, so that writing them can be timed alone."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """Give them."""
        return self._families


def registry_of(collector: ClientLibrary | Collected) -> CollectorRegistry:
    """Make a registry of one collector."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def render(snapshot: Snapshot) -> Exposition:
    """Write the trunks' page as the collector does, but for the samples of them all."""
    lines = render_snapshot("acme", snapshot, CHANGES, Privacy())
    chunks = [
        chunk
        for metric, head in HEADERS[Format.TEXT].items()
        if metric.scope == "trunk" and metric in lines
        for chunk in (head, *lines[metric])
    ]
    return Exposition(chunks, Format.TEXT)


def best(run: Callable[[], object], rounds: int) -> float:
    """Return the seconds of the fastest of some rounds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def peak(run: Callable[[], object]) -> int:
    """Return the most bytes that were allocated at once, what is returned among them."""
    gc.collect()
    tracemalloc.start()
    kept = run()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return most


def main() -> None:
    """Print the figures."""
    snapshot = make_snapshot(TRUNKS)
    scrape = registry_of(ClientLibrary(snapshot))
    written = registry_of(Collected(ClientLibrary(snapshot).collect()))
    page = generate_latest(scrape)
    ours = b"".join(render(snapshot).chunks)
    assert ours == page, "the bytes differ"
    packed = render(snapshot).gzipped()
    assert gzip.decompress(packed) == page, "the compressed bytes differ"

    size = len(page)
    print(f"{TRUNKS} trunks, {SAMPLES} samples, {size / 1e6:.1f} MB, equal bytes")
    rendering = best(lambda: render(snapshot), 7)
    collecting = best(lambda: generate_latest(scrape), 3)
    writing = best(lambda: generate_latest(written), 3)
    print(f"render                      {rendering * 1e3:8.1f} ms")
    print(f"generate_latest             {writing * 1e3:8.1f} ms   {writing / rendering:5.1f} ×")
    print(
        f"collect and generate_latest {collecting * 1e3:8.1f} ms   {collecting / rendering:5.1f} ×"
    )
    deflating = best(lambda: render(snapshot).gzipped(), 5)
    zipping = best(lambda: gzip.compress(generate_latest(written)), 1)
    print(f"render, compressed          {deflating * 1e3:8.1f} ms   {len(packed) / 1e3:.0f} KB")
    print(f"generate_latest, gzip       {zipping * 1e3:8.1f} ms   {zipping / deflating:5.1f} ×")

    def both() -> object:
        made = render(snapshot)
        return made, made.gzipped()

    most = peak(both)
    theirs = peak(lambda: generate_latest(scrape))
    print(f"peak memory, both encodings {most / size:8.1f} × the page")
    print(f"generate_latest             {theirs / size:8.1f} × the page")
    print(f"goals: 15 × {verdict(writing / rendering >= 15)}, 4 × {verdict(most <= 4 * size)}")


def verdict(reached: bool) -> str:  # noqa: FBT001 - a yes or no to be printed
    """Say whether a goal was reached."""
    return "reached" if reached else "missed"


if __name__ == "__main__":
    main()
