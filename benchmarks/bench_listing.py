"""What reading lists costs against one request a trunk: 300 trunks, 30 ms of latency.

The old way asked for the list and then for each trunk. The exporter asks for pages of 100 alone.
Both run over one kept connection against the simulated cabinet, which holds each answer back for
30 ms; signed in and discovered before the clock starts.

Run: python benchmarks/bench_listing.py
"""

from __future__ import annotations

import statistics
import time

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts

TRUNKS = 300
LATENCY = 0.030
EXPECTED = 75.0
REPEATS = 3


def held_back(_: Incoming) -> Fault:
    """Answer everything 30 ms later."""

    def later(answer: Answer) -> Answer:
        time.sleep(LATENCY)
        return answer

    return Fault(change=later)


def main() -> None:
    """Measure and print."""
    with SimulatedCabinet(make_accounts(trunks=TRUNKS)) as simulated:
        account = simulated.accounts[0]
        settings = CabinetSettings(
            address=simulated.url, login=account.login, password=account.password
        )
        with CabinetClient(settings) as cabinet:
            trunks = cabinet.read_trunks().trunks
            simulated.faults = held_back
            before = simulated.stats()["requests"]["list"]
            listings = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                cabinet.read_trunks()
                listings.append(time.perf_counter() - start)
            requests = (simulated.stats()["requests"]["list"] - before) // REPEATS
            start = time.perf_counter()
            cabinet.read_trunks()
            for trunk in trunks:
                cabinet.read_details(trunk.ref)
            one_by_one = time.perf_counter() - start
            asked = simulated.stats()["requests"]["details"] + requests
    listing = statistics.median(listings)
    print(f"{TRUNKS} trunks, {LATENCY * 1000:g} ms of latency")
    print(f"  pages alone          {listing:7.2f} s  {requests} requests")
    print(f"  one request a trunk  {one_by_one:7.2f} s  {asked} requests")
    print(f"  ratio                {one_by_one / listing:7.1f}    expected: about {EXPECTED:g}")


if __name__ == "__main__":
    main()
