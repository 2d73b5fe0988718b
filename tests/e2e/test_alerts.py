"""From a trunk switched off in the cabinet to the message that wakes somebody, and back.

Two accounts, so that each test sees that the other one stays as it was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.stack import Stack
from vats_exporter.demo import SimulatedCabinet, SimulatedTrunk, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE, OTHER = "demo-1", "demo-2"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with SimulatedCabinet(make_accounts(2, trunks=12)) as cabinet:
        for account in cabinet.accounts:
            # All in order at first: each test breaks what it is about.
            for trunk in account.enterprise.trunks():
                account.enterprise.switch_on(trunk.ref)
                account.enterprise.bind(trunk.ref)
                account.enterprise.unmark(trunk.ref)
        with Stack(cabinet, tmp_path_factory.mktemp("stack")) as started:
            yield started


def trunks(stack: Stack, account: str) -> list[SimulatedTrunk]:
    return list(stack.cabinet.account(account).enterprise.trunks())


def test_every_trunk_is_scraped_without_a_warning(stack: Stack) -> None:
    expected = {(t["account"], t["phone"]): t["active"] for t in stack.cabinet.trunks()}

    def scraped() -> bool:
        result = stack.query("vats_trunk_active")
        found = {
            (one["metric"]["account"], one["metric"]["phone"]): one["value"][1] == "1"
            for one in result
        }
        return found == expected

    stack.webhook.until("all trunks in Prometheus", scraped)
    log = (stack.folder / "prometheus.log").read_text()
    assert not [line for line in log.splitlines() if re.search(r"level=(warn|error)", line)]


def test_trunks_off_unbound_and_marked_each_raise_their_alert_and_resolve(stack: Stack) -> None:
    enterprise = stack.cabinet.account(ONE).enterprise
    off, unbound, marked = trunks(stack, ONE)[:3]
    enterprise.switch_off(off.ref)
    enterprise.unbind(unbound.ref)
    enterprise.mark(marked.ref)
    alert = stack.webhook.firing("VatsTrunkInactive", ONE, off.ref)
    assert alert["receiver"] == "duty"
    assert alert["labels"]["phone"] == off.phone
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"] == "A trunk is switched off."
    assert alert["annotations"]["description"].startswith(f"{off.phone} ({off.name})")
    assert alert["annotations"]["summary_ru"] == "Транк отключён."
    assert f"{off.phone} ({off.name}), договор {ONE}" in alert["annotations"]["description_ru"]
    alert = stack.webhook.firing("VatsTrunkUnbound", ONE, unbound.ref)
    assert (alert["receiver"], alert["labels"]["phone"]) == ("duty", unbound.phone)
    alert = stack.webhook.firing("VatsTrunkMarkedForDeletion", ONE, marked.ref)
    assert (alert["receiver"], alert["labels"]["phone"]) == ("office", marked.phone)
    # Each has the one alert that says most, and nobody else has any.
    for name, trunk in (
        ("VatsTrunkUnbound", off),
        ("VatsTrunkInactive", unbound),
        ("VatsTrunkInactive", marked),
    ):
        assert stack.webhook.alert(name, ONE, trunk.ref) is None
    enterprise.switch_on(off.ref)
    enterprise.bind(unbound.ref)
    enterprise.unmark(marked.ref)
    stack.webhook.resolved("VatsTrunkInactive", ONE, off.ref)
    stack.webhook.resolved("VatsTrunkUnbound", ONE, unbound.ref)
    stack.webhook.resolved("VatsTrunkMarkedForDeletion", ONE, marked.ref)


def test_a_changed_password_tells_of_that_account_alone_and_silences_its_trunks(
    stack: Stack,
) -> None:
    account, healthy = stack.cabinet.account(OTHER), stack.cabinet.account(ONE)
    password = account.password
    for enterprise in (account.enterprise, healthy.enterprise):
        enterprise.switch_off(enterprise.trunks()[0].ref)
    off, loud = trunks(stack, OTHER)[0], trunks(stack, ONE)[0]
    stack.webhook.firing("VatsTrunkInactive", OTHER, off.ref)
    stack.webhook.firing("VatsTrunkInactive", ONE, loud.ref)
    stack.cabinet.change_password(OTHER, "another")
    stack.cabinet.end_sessions(OTHER)
    alert = stack.webhook.firing("VatsLoginRefused", OTHER)
    assert alert["receiver"] == "duty"
    assert f"account {OTHER}" in alert["annotations"]["description"]
    stack.webhook.until(
        "the account's trunks are held back",
        lambda: ("VatsTrunkInactive", OTHER) in stack.suppressed(),
    )
    assert ("VatsTrunkInactive", ONE) not in stack.suppressed()
    assert stack.webhook.alert("VatsLoginRefused", ONE) is None
    assert 'vats_up{account="demo-1"} 1.0' in stack.metrics()
    stack.cabinet.change_password(OTHER, password)
    stack.webhook.resolved("VatsLoginRefused", OTHER)
    for enterprise in (account.enterprise, healthy.enterprise):
        enterprise.switch_on(enterprise.trunks()[0].ref)
    stack.webhook.resolved("VatsTrunkInactive", ONE, loud.ref)
    stack.webhook.resolved("VatsTrunkInactive", OTHER, off.ref)


def test_a_redeployment_is_told_and_costs_no_refresh(stack: Stack) -> None:
    stack.cabinet.redeploy()
    alert = stack.webhook.firing("VatsCabinetRedeployed", ONE)
    assert alert["receiver"] == "webhook"
    assert alert["labels"]["severity"] == "info"
    assert 'vats_up{account="demo-1"} 1.0' in stack.metrics()


def test_a_trunk_that_leaves_the_list_is_gone(stack: Stack) -> None:
    trunk = trunks(stack, ONE)[-1]
    # It must have been there an hour ago, which is a minute here.
    stack.webhook.until(
        "a minute of history",
        lambda: stack.query(f'vats_trunk_info{{trunk="{trunk.ref}"}} offset 1m'),
    )
    stack.cabinet.account(ONE).enterprise.remove(trunk.ref)
    alert = stack.webhook.firing("VatsTrunkGone", ONE, trunk.ref)
    assert alert["labels"]["phone"] == trunk.phone
    assert alert["labels"]["severity"] == "critical"
    stack.cabinet.account(ONE).enterprise.add(trunk)
    stack.webhook.resolved("VatsTrunkGone", ONE, trunk.ref)


def test_a_cabinet_that_stops_is_told_once_an_account_and_its_trunks_are_silent(
    stack: Stack,
) -> None:
    enterprise = stack.cabinet.account(ONE).enterprise
    off = trunks(stack, ONE)[1]
    enterprise.switch_off(off.ref)
    stack.webhook.firing("VatsTrunkInactive", ONE, off.ref)
    stack.cabinet.stop()
    for account in (ONE, OTHER):
        alert = stack.webhook.firing("VatsAccountDown", account)
        assert alert["receiver"] == "duty"
        assert alert["annotations"]["summary_ru"] == "Не удаётся прочитать личный кабинет договора."
    stack.webhook.until(
        "the trunk's alert is held back",
        lambda: (
            ("VatsTrunkInactive", ONE) in stack.suppressed()
            # Or its series have left already, with the snapshot that got stale.
            or not stack.query("vats_trunk_active")
        ),
    )
    stack.webhook.until("stale trunks leave", lambda: not stack.query("vats_trunk_active"))
    stack.cabinet.start()
    for account in (ONE, OTHER):
        stack.webhook.resolved("VatsAccountDown", account)
    enterprise.switch_on(off.ref)
