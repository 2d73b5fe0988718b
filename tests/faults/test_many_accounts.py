"""Fifty accounts, thirty of which are in trouble: the others are as fresh as ever."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tests.doubles import PATIENCE, let_end
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts
from vats_exporter.demo import Fault, SimulatedCabinet, make_accounts
from vats_exporter.metrics.collector import AccountCounters, Collector, MonitoredAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.demo import Incoming

SCRAPE = 6.0
"""Seconds that a scrape gives."""


def drip(stop: threading.Event) -> Iterator[bytes]:
    """An answer that comes a byte at a time, and never whole."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    while not stop.wait(0.1):
        yield b" "


def test_accounts_that_hang_refuse_or_drip_cost_the_others_no_freshness() -> None:
    cabinet = SimulatedCabinet(make_accounts(50, trunks=2))
    names = [one.name for one in cabinet.accounts]
    hanging, dripping, refusing = set(names[:10]), set(names[10:20]), set(names[20:30])
    healthy = set(names[30:])
    over = threading.Event()

    def fault(incoming: Incoming) -> Fault | None:
        if incoming.call != "list":
            return None
        if incoming.account in hanging:
            return Fault(wait=over)
        return Fault(raw=drip(over)) if incoming.account in dripping else None

    def account(name: str) -> MonitoredAccount:
        simulated = cabinet.account(name)
        password = "wrong" if name in refusing else simulated.password
        settings = CabinetSettings(
            address=cabinet.url,
            login=simulated.login,
            password=password,
            timeouts=Timeouts(connect=PATIENCE, read=60.0, call=60.0),
        )
        counters = AccountCounters(name)
        client = CabinetClient(settings, trace=counters.trace)
        return MonitoredAccount(name, client, counters, ttl=0)

    with cabinet:
        collector = Collector([account(name) for name in names])
        refreshers = {one.name: one.refresher for one in collector.accounts}
        try:
            collector.refresh(SCRAPE)  # signs in, and learns who hangs
            for name in healthy | refusing:
                let_end(refreshers[name])
            cabinet.faults = fault
            collector.refresh(SCRAPE)
            for name in healthy:
                let_end(refreshers[name])
            for _ in range(5):
                began, asked = time.monotonic(), time.time()
                collector.refresh(SCRAPE)
                took = time.monotonic() - began
                states = {
                    state.account: state
                    for state in [account.refresher.peek() for account in collector.accounts]
                }
                # The healthy ones are waited for, and no one else.
                assert took < SCRAPE
                for name in healthy:
                    snapshot = states[name].snapshot
                    assert snapshot is not None
                    assert snapshot.taken_at >= asked
            assert {states[name].result for name in refusing} == {"login_refused"}
            assert cabinet.stats()["refused_sign_ins"] == len(refusing)
            assert all(refreshers[name]._running for name in hanging | dripping)
        finally:
            over.set()
            for one in refreshers.values():
                one.close()
