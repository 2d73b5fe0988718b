"""One line of the log for each client and minute."""

from __future__ import annotations

from vats_exporter.web.log_limit import LogLimit


class SetClock:
    ticks = 5.0

    def __call__(self) -> float:
        return self.ticks


def test_each_client_gets_a_line_once_a_minute() -> None:
    clock = SetClock()
    limit = LogLimit(clock)
    assert [limit.allows(one) for one in ("a", "a", "b", "a")] == [True, False, True, False]
    clock.ticks += 59.9
    assert not limit.allows("a")
    clock.ticks += 0.1
    assert limit.allows("a")
    assert not limit.allows("a")


def test_a_crowd_of_clients_fills_neither_the_log_nor_the_memory() -> None:
    clock = SetClock()
    limit = LogLimit(clock)
    crowd = [f"10.0.{number >> 8}.{number & 255}" for number in range(10_000)]
    assert sum(map(limit.allows, crowd)) == 100
    clock.ticks += 60
    assert limit.allows("somebody else")
    assert len(limit._logged) == 1
