"""What is counted of the calls and the refreshes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.process import capture_logs
from vats_exporter.cabinet.errors import RESULTS, CabinetTimeoutError
from vats_exporter.cabinet.trace import CallCompleted, CallFailed, CallStarted, Redeployed, SignIn
from vats_exporter.metrics.counts import BUCKETS, SIGN_IN_RESULTS, Tally
from vats_exporter.refresh import Outcome

if TYPE_CHECKING:
    from vats_exporter.cabinet.trace import TraceEvent


def test_closed_lists_are_counted_from_zero_and_the_rest_from_its_first() -> None:
    counts = Tally("acme").counts()
    assert counts.refreshes == dict.fromkeys(RESULTS, 0)
    assert counts.logins == dict.fromkeys(SIGN_IN_RESULTS, 0)
    assert (counts.requests, counts.latencies, counts.redeployments) == ({}, {}, 0)


def test_calls_are_counted_by_status_or_by_what_kept_them_from_one() -> None:
    tally = Tally("acme")
    tally.trace(CallCompleted("list", 200, 0.1, 10))
    tally.trace(CallCompleted("list", 200, 0.1, 10))
    tally.trace(CallCompleted("list", 503, 0.1, 10))
    tally.trace(CallFailed("nocache", CabinetTimeoutError("slow"), 15.0))
    assert tally.counts().requests == {
        ("list", "200"): 2,
        ("list", "503"): 1,
        ("nocache", "timeout"): 1,
    }


@pytest.mark.parametrize(
    ("duration", "first"),
    [(0.0, 0.05), (0.05, 0.05), (0.051, 0.1), (30.0, 30.0), (30.1, None)],
)
def test_a_duration_counts_in_every_bucket_it_fits(duration: float, first: float | None) -> None:
    tally = Tally("acme")
    tally.trace(CallCompleted("list", 200, duration, 10))
    latency = tally.counts().latencies["list"]
    at = BUCKETS.index(first) if first is not None else len(BUCKETS)
    assert latency.cumulated == (0,) * at + (1,) * (len(BUCKETS) + 1 - at)
    assert latency.total == duration


def test_calls_that_were_not_answered_have_a_duration_too() -> None:
    tally = Tally("acme")
    tally.trace(CallCompleted("list", 200, 1.0, 10))
    tally.trace(CallFailed("list", CabinetTimeoutError("slow"), 15.0))
    assert tally.counts().latencies["list"].total == 16.0
    assert tally.counts().latencies["list"].cumulated[-1] == 2


def test_sign_ins_redeployments_and_refreshes_are_counted() -> None:
    tally = Tally("acme")
    tally.trace(SignIn("success", 0.3))
    tally.trace(SignIn("undecodable", 0.3))
    tally.trace(Redeployed("A" * 32, "B" * 32))
    tally.refreshed(Outcome("incomplete", 1.0, error="short"))
    counts = tally.counts()
    assert (counts.logins["success"], counts.logins["undecodable"]) == (1, 1)
    assert counts.redeployments == 1
    assert counts.refreshes["incomplete"] == 1


def test_the_version_changes_with_what_is_counted_and_only_then() -> None:
    tally = Tally("acme")
    before = tally.version
    tally.trace(CallStarted("list"))
    assert tally.version == before
    tally.trace(SignIn("success", 0.3))
    assert tally.version != before


def test_threads_that_count_at_once_lose_nothing() -> None:
    tally = Tally("acme")

    def count() -> None:
        for _ in range(500):
            tally.trace(CallCompleted("list", 200, 0.1, 10))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert tally.counts().requests["list", "200"] == 2000


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            CallCompleted("list", 200, 0.1234, 10),
            {
                "event": "call answered",
                "call": "list",
                "status": 200,
                "duration": 0.123,
                "size": 10,
            },
        ),
        (
            CallFailed("list", CabinetTimeoutError("no answer within 15 s"), 15.0),
            {
                "event": "call failed",
                "call": "list",
                "result": "timeout",
                "error": "no answer within 15 s",
                "duration": 15.0,
            },
        ),
        (
            SignIn("login_refused", 0.5),
            {"event": "sign-in ended", "result": "login_refused", "duration": 0.5},
        ),
    ],
)
def test_each_call_is_a_line_at_debug(event: TraceEvent, line: dict[str, object]) -> None:
    with capture_logs() as logs:
        Tally("acme").trace(event)
    assert logs == [{**line, "account": "acme", "log_level": "debug"}]


def test_a_redeployment_is_told_at_info() -> None:
    with capture_logs() as logs:
        Tally("acme").trace(Redeployed("A" * 32, "B" * 32))
    assert logs == [
        {
            "event": "cabinet was redeployed",
            "account": "acme",
            "old": "A" * 32,
            "new": "B" * 32,
            "log_level": "info",
        }
    ]
