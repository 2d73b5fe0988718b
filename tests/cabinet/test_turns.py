"""A lock that goes to those who want it last when nobody else does."""

from __future__ import annotations

import threading

import pytest

from vats_exporter.cabinet.turns import Turns

PATIENCE = 20.0


def in_another_thread(work: object) -> None:
    assert callable(work)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_its_holder_may_take_it_again_and_gives_it_back_as_often() -> None:
    turns, taken = Turns(), list[bool]()

    def take() -> None:
        taken.append(turns.acquire(timeout=0))
        if taken[-1]:
            turns.release()

    with turns:
        with turns:
            in_another_thread(take)
        in_another_thread(take)
    in_another_thread(take)
    assert taken == [False, False, True]


def test_who_holds_it_last_may_take_it_again_too() -> None:
    turns = Turns()
    with turns.last(), turns:
        pass
    in_another_thread(turns.acquire)


def test_it_is_given_back_after_an_error_too() -> None:
    turns = Turns()
    with pytest.raises(KeyError), turns.last():
        raise KeyError
    in_another_thread(turns.acquire)


def test_everybody_else_comes_before_those_who_want_it_last() -> None:
    turns, came = Turns(), list[str]()

    class Waiting:
        """Counts who begins to wait."""

        def __init__(self) -> None:
            self.count = threading.Semaphore(0)
            self._wait = turns._changed.wait

        def __call__(self, timeout: float | None = None) -> bool:
            self.count.release()
            return self._wait(timeout)

    waiting = Waiting()
    turns._changed.wait = waiting  # type: ignore[method-assign]  # of this one

    def first(name: str) -> None:
        with turns:
            came.append(name)

    def last(name: str) -> None:
        with turns.last():
            came.append(name)

    with turns:
        threads = []
        for work, name in ((last, "details"), (first, "listing"), (first, "listing")):
            threads.append(threading.Thread(target=work, args=(name,), daemon=True))
            threads[-1].start()
            assert waiting.count.acquire(timeout=PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert came == ["listing", "listing", "details"]
