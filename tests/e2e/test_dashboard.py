"""The dashboards' queries in a real Prometheus: each finds data, and what they say is true."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grafana.queries import Query, View
from tests.e2e.stack import Stack
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"
MENDED = 'count(max_over_time(account:vats_trunk_flag_changed:newest{to="right"}[60s])) > 1'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with (
        SimulatedCabinet(make_accounts(2, trunks=20)) as cabinet,
        Stack(cabinet, tmp_path_factory.mktemp("dashboard"), details=True) as started,
    ):
        started.webhook.until(
            "a first scrape", lambda: len(started.query("vats_trunk_active")) == 40
        )
        # Something of everything, in both accounts: off, unbound, marked, mended; a redeployment.
        for account in cabinet.accounts:
            trunks = account.enterprise.trunks()
            account.enterprise.change(trunks[0].ref, active=False)
            account.enterprise.change(trunks[1].ref, bound=False)
            account.enterprise.change(trunks[2].ref, marked_for_deletion=True)
            account.enterprise.change(trunks[3].ref, bound=False)
        cabinet.redeploy()
        started.webhook.until(
            "changes of both accounts",
            lambda: len(started.query("account:vats_trunk_flag_changed:newest{flag='bound'}")) == 2,
        )
        for account in cabinet.accounts:
            account.enterprise.change(account.enterprise.trunks()[3].ref, bound=True)
        started.webhook.until(
            "changes, alerts and counts over some scrapes",
            lambda: (
                started.query("sum(changes(vats_trunk_active[60s])) >= 2")
                and started.query("sum(increase(vats_redeployments_total[60s])) > 0")
                and started.query("min(count_over_time(vats_up[60s])) > 20")
                and started.query('count(ALERTS{alertname="VatsTrunkInactive"}) > 1')
                and started.query("count(vats_details_timestamp_seconds) == 2")
                and started.query(MENDED)
            ),
        )
        yield started


class Looked:
    """A dashboard as somebody looks at it now, for the last two minutes, and what it got."""

    def __init__(self, stack: Stack, board: str, **chosen: str) -> None:
        dashboard = json.loads((DASHBOARDS / f"{board}.json").read_text(encoding="utf-8"))
        now = time.time()
        view = View(dashboard, now - 120, now, chosen, scrape=1)
        self.results: dict[str, list[dict[str, Any]]] = {}

        def ask(query: Query) -> list[dict[str, Any]]:
            if query.step is None:
                return stack.query(query.expr)
            return stack.query_range(query.expr, view.start, view.end, query.step)

        for query in view.queries(ask):
            self.results[query.where] = ask(query)

    def value(self, where: str) -> float:
        """The one value of a query, NaN where there is none to be seen."""
        (one,) = self.results[where]
        return float(one["value"][1])

    def rows(self, where: str) -> list[dict[str, str]]:
        """The labels of what a query found, the greatest value first."""
        found = sorted(self.results[where], key=lambda one: -float(one["value"][1]))
        return [one["metric"] for one in found]


@pytest.mark.parametrize("chosen", [{}, {"account": "demo-1"}, {"account": "demo-1|demo-2"}])
def test_every_query_finds_data(stack: Stack, chosen: dict[str, str]) -> None:
    looked = Looked(stack, "vats-trunks", **chosen)
    assert {where for where, result in looked.results.items() if not result} == set()


def test_every_query_about_one_trunk_finds_data(stack: Stack) -> None:
    (account, *_) = stack.cabinet.accounts
    ref = account.enterprise.trunks()[0].ref
    looked = Looked(stack, "vats-trunk", account=account.name, trunk=ref)
    assert {where for where, result in looked.results.items() if not result} == set()


def test_the_search_leaves_the_trunks_that_are_searched_for(stack: Stack) -> None:
    trunk = stack.cabinet.accounts[0].enterprise.trunks()[0]
    looked = Looked(stack, "vats-trunks", phone=trunk.phone[-6:])
    found = {row["phone"] for row in looked.rows("Trunks that need attention ($shown) key")}
    assert found == {trunk.phone}
    assert looked.value("Trunks A") == 1


def test_each_trunk_in_trouble_has_a_row_the_newest_first_with_its_name_and_since_when(
    stack: Stack,
) -> None:
    enterprise = stack.cabinet.accounts[1].enterprise
    newest = enterprise.trunks()[5]
    before = time.time()
    enterprise.change(newest.ref, active=False)
    stack.webhook.until(
        "the newest failure is recorded",
        lambda: stack.query(f'trunk:vats_trunk_trouble:order{{trunk="{newest.ref}"}}'),
    )
    looked = Looked(stack, "vats-trunks")
    first, *_, last = looked.rows("Trunks that need attention ($shown) key")
    assert (first["trunk"], first["trouble"], first["began"]) == (newest.ref, "inactive", "seen")
    assert last["trouble"] == "marked_for_deletion"
    named = {
        row["trunk"]: row["name"] for row in looked.rows("Trunks that need attention ($shown) name")
    }
    assert named[newest.ref] == newest.name
    since = {
        one["metric"]["trunk"]: float(one["value"][1]) / 1000
        for one in looked.results["Trunks that need attention ($shown) since"]
    }
    assert set(since) == set(named)
    assert before - 1 <= since[newest.ref] <= time.time()


def test_an_annotation_tells_when_and_what_in_milliseconds_and_words(stack: Stack) -> None:
    found = Looked(stack, "vats-trunks").results["annotation Trunks going wrong"]
    assert {one["metric"]["what"] for one in found} >= {
        "inactive",
        "unbound",
        "marked for deletion",
    }
    for one in found:
        assert one["metric"]["which"]
        for _, value in one["values"]:
            assert time.time() - 600 < float(value) / 1000 <= time.time()


def test_a_redeployment_is_counted_once(stack: Stack) -> None:
    for series in Looked(stack, "vats-trunks").results["Redeployments A"]:
        assert sum(float(value) for _, value in series["values"]) == 1


def test_a_dead_exporter_is_not_green(tmp_path: Path) -> None:
    with SimulatedCabinet(make_accounts(2, trunks=4)) as cabinet, Stack(cabinet, tmp_path) as stack:
        stack.webhook.until(
            "all is well",
            lambda: stack.query('account:vats_trunk_trouble:count{trouble="inactive"} == 0'),
        )
        well = Looked(stack, "vats-trunks")
        assert well.value("Accounts A") == 2
        assert well.value("Trunks B") == 0
        assert well.rows("Trunks that need attention ($shown) key") == []
        stack.exporters[0].kill()
        stack.webhook.until("Prometheus sees it", lambda: stack.query("up == 0"))
        stack.webhook.until(
            "the rules see it", lambda: not stack.query("account:vats_trunk_trouble:count")
        )
        dead = Looked(stack, "vats-trunks")
        assert (dead.value("Accounts A"), dead.value("Accounts B")) == (0, 2)
        for letter in "ABCDEF":
            assert math.isnan(dead.value(f"Trunks {letter}"))
        rows = dead.rows("Trunks that need attention ($shown) key")
        assert {(row["account"], row["trouble"]) for row in rows} == {
            ("demo-1", "unread"),
            ("demo-2", "unread"),
        }
        age = dead.value("Age of data A")
        assert age > 0
        stack.webhook.until(
            "the age goes on counting",
            lambda: Looked(stack, "vats-trunks").value("Age of data A") > age,
        )
