"""Telling of a client once in a while, however often it gives cause to."""

from __future__ import annotations

from vats_exporter.web.throttle import Throttle


class SetClock:
    ticks = 5.0

    def __call__(self) -> float:
        return self.ticks


def test_each_client_is_told_of_once_a_minute() -> None:
    clock = SetClock()
    throttle = Throttle(clock)
    assert [throttle.lets_through(one) for one in ("a", "a", "b", "a")] == [
        True,
        False,
        True,
        False,
    ]
    clock.ticks += 59.9
    assert not throttle.lets_through("a")
    clock.ticks += 0.1
    assert throttle.lets_through("a")
    assert not throttle.lets_through("a")


def test_a_crowd_of_clients_fills_neither_the_log_nor_the_memory() -> None:
    clock = SetClock()
    throttle = Throttle(clock)
    crowd = [f"10.0.{number >> 8}.{number & 255}" for number in range(10_000)]
    assert sum(map(throttle.lets_through, crowd)) == 100
    clock.ticks += 60
    assert throttle.lets_through("somebody else")
    assert len(throttle._told) == 1
