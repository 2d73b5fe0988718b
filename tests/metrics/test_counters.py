"""What is counted of the calls and the refreshes."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from tests.doubles import answered
from tests.process import capture_logs
from vats_exporter.cabinet.errors import RESULTS, CabinetTimeoutError
from vats_exporter.cabinet.transport import (
    CallEnded,
    CallStarted,
    PageRead,
    Redeployed,
    SignIn,
)
from vats_exporter.metrics.counters import BUCKETS, SIGN_IN_RESULTS, AccountCounters
from vats_exporter.refresh import Outcome

if TYPE_CHECKING:
    from vats_exporter.cabinet.transport import TraceEvent


def counted(counters: AccountCounters, name: str) -> dict[tuple[str, ...], float]:
    """The values of a family's samples, by their labels' values but the account's."""
    return {
        tuple(value for label, value in sample.labels.items() if label != "account"): sample.value
        for family in counters.families()
        for sample in family.samples
        if sample.name == name and sample.labels["account"] == "acme"
    }


def test_closed_lists_are_counted_from_zero_and_the_rest_from_its_first() -> None:
    counters = AccountCounters("acme")
    assert counted(counters, "vats_refreshes_total") == {(one,): 0.0 for one in RESULTS}
    assert counted(counters, "vats_logins_total") == {(one,): 0.0 for one in SIGN_IN_RESULTS}
    assert counted(counters, "vats_redeployments_total") == {(): 0.0}
    assert counted(counters, "vats_answers_total") == {("script",): 0.0, ("block",): 0.0}
    assert {family.name for family in counters.families()} == {
        "vats_refreshes",
        "vats_logins",
        "vats_answers",
        "vats_redeployments",
    }


def test_calls_are_counted_by_status_or_by_what_kept_them_from_one() -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, 0.1, 10))
    counters.trace(answered("list", 200, 0.1, 10))
    counters.trace(answered("list", 503, 0.1, 10))
    counters.trace(CallEnded("nocache", CabinetTimeoutError("slow"), 15.0))
    assert counted(counters, "vats_requests_total") == {
        ("list", "200"): 2,
        ("list", "503"): 1,
        ("nocache", "timeout"): 1,
    }


@pytest.mark.parametrize(
    ("duration", "fits"),
    [(0.0, 0.05), (0.05, 0.05), (0.051, 0.1), (30.0, 30.0), (30.1, math.inf)],
)
def test_a_duration_counts_in_every_bucket_it_fits(duration: float, fits: float) -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, duration, 10))
    buckets = counted(counters, "vats_request_duration_seconds_bucket")
    assert {float(bound): value for (_, bound), value in buckets.items()} == {
        bound: float(bound >= fits) for bound in (*BUCKETS, math.inf)
    }
    assert counted(counters, "vats_request_duration_seconds_sum") == {("list",): duration}


def test_calls_that_were_not_answered_have_a_duration_too() -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, 1.0, 10))
    counters.trace(CallEnded("list", CabinetTimeoutError("slow"), 15.0))
    assert counted(counters, "vats_request_duration_seconds_sum") == {("list",): 16.0}
    assert counted(counters, "vats_request_duration_seconds_count") == {("list",): 2.0}


def test_sign_ins_redeployments_and_refreshes_are_counted() -> None:
    counters = AccountCounters("acme")
    counters.trace(SignIn("success", 0.3))
    counters.trace(SignIn("undecodable", 0.3))
    counters.trace(Redeployed("A" * 32, "B" * 32))
    counters.trace(PageRead("block"))
    counters.refreshed(Outcome("incomplete", 1.0, error="short"))
    logins = counted(counters, "vats_logins_total")
    assert (logins["success",], logins["undecodable",]) == (1.0, 1.0)
    assert counted(counters, "vats_redeployments_total") == {(): 1.0}
    assert counted(counters, "vats_answers_total") == {("script",): 0.0, ("block",): 1.0}
    assert counted(counters, "vats_refreshes_total")["incomplete",] == 1.0


def test_details_are_there_with_every_result_from_the_first_one_on() -> None:
    counters = AccountCounters("acme")
    counters.detailed("timeout", "")
    details = counted(counters, "vats_details_total")
    assert details == {(one,): float(one == "timeout") for one in RESULTS}


def test_nothing_tells_when_a_counter_was_created() -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, 0.1, 10))
    names = {sample.name for family in counters.families() for sample in family.samples}
    assert not [name for name in names if name.endswith("_created")]


def test_the_version_changes_with_what_is_counted_and_only_then() -> None:
    counters = AccountCounters("acme")
    before = counters.version
    counters.trace(CallStarted("list"))
    assert counters.version == before
    counters.trace(SignIn("success", 0.3))
    assert counters.version != before


def test_threads_that_count_at_once_lose_nothing() -> None:
    counters = AccountCounters("acme")

    def count() -> None:
        for _ in range(500):
            counters.trace(answered("list", 200, 0.1, 10))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert counted(counters, "vats_requests_total") == {("list", "200"): 2000}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            answered("list", 200, 0.1234, 10),
            {
                "event": "call answered",
                "call": "list",
                "status": 200,
                "duration": 0.123,
                "size": 10,
            },
        ),
        (
            CallEnded("list", CabinetTimeoutError("no answer within 15 s"), 15.0),
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
        AccountCounters("acme").trace(event)
    assert logs == [{**line, "account": "acme", "log_level": "debug"}]


def test_a_redeployment_is_told_at_info() -> None:
    with capture_logs() as logs:
        AccountCounters("acme").trace(Redeployed("A" * 32, "B" * 32))
    assert logs == [
        {
            "event": "cabinet was redeployed",
            "account": "acme",
            "old": "A" * 32,
            "new": "B" * 32,
            "log_level": "info",
        }
    ]
