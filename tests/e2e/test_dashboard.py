"""Every query of every panel of the dashboard finds data in a real Prometheus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stack import Stack
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARD = Path(__file__).parents[2] / "grafana" / "dashboards" / "vats-trunks.json"

# Grafana's own variables, as they would be for the last minute of a Prometheus that scrapes each
# second.
BUILT_IN = {"$__rate_interval": "15s", "$__interval": "5s", "$__range": "60s"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with (
        SimulatedCabinet(make_accounts(2, trunks=20)) as cabinet,
        Stack(cabinet, tmp_path_factory.mktemp("dashboard")) as started,
    ):
        started.webhook.until(
            "a first scrape", lambda: len(started.query("vats_trunk_active")) == 40
        )
        # Something of everything, in both accounts: off, unbound, marked; and a redeployment.
        for account in cabinet.accounts:
            trunks = account.enterprise.trunks()
            account.enterprise.switch_off(trunks[0].ref)
            account.enterprise.unbind(trunks[1].ref)
            account.enterprise.mark(trunks[2].ref)
        cabinet.redeploy()
        started.webhook.until(
            "changes and counts over some scrapes",
            lambda: (
                started.query("sum(changes(vats_trunk_active[60s])) >= 2")
                and started.query("sum(increase(vats_redeployments_total[60s])) > 0")
                and started.query("min(count_over_time(vats_up[60s])) > 20")
            ),
        )
        yield started


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    rows = dashboard["panels"]
    inside = [panel for row in rows for panel in row.get("panels", [])]
    return [panel for panel in [*rows, *inside] if panel.get("targets")]


def expression(text: str, account: str, phone: str) -> str:
    """Fill in the variables, as Grafana does."""
    values = {
        **BUILT_IN,
        "${phone:regex}": phone,
        "$account": account,
        "$instance": ".*",
        "$job": ".*",
    }
    for name, value in values.items():
        text = text.replace(name, value)
    assert "$" not in text.replace('"$1"', ""), text
    return text


CASES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in panels()
    for target in panel["targets"]
]


@pytest.mark.parametrize("account", [".*", "demo-1", "demo-1|demo-2"])
@pytest.mark.parametrize("text", CASES)
def test_a_query_returns_data(stack: Stack, text: str, account: str) -> None:
    assert stack.query(expression(text, account, phone=""))


@pytest.mark.parametrize("text", [case for case in CASES if "phone" in str(case.values[0])])
def test_a_query_returns_the_trunks_that_are_searched_for(stack: Stack, text: str) -> None:
    found = set()
    for account in stack.cabinet.accounts:
        for trunk in account.enterprise.trunks()[:3]:
            result = stack.query(expression(text, ".*", phone=trunk.phone[-6:]))
            found |= {one["metric"].get("phone", trunk.phone) for one in result}
    assert found
    searched = {
        trunk.phone
        for account in stack.cabinet.accounts
        for trunk in account.enterprise.trunks()[:3]
    }
    assert found <= searched
