"""What people are told: every message, in every story, and none besides.

The same table is in docs/dashboard-and-alerts.md. Each story has programs of its own, so that they
can run at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.stack import DEPLOY, MINUTE
from tests.e2e.story import ACCOUNT, between_refreshes, expect, firing, refs, resolved, story
from vats_exporter.demo.http import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from vats_exporter.demo.enterprise import Enterprise
    from vats_exporter.demo.http import Incoming


def test_an_exporter_is_killed_and_is_back_an_hour_later(tmp_path: Path) -> None:
    with story(tmp_path) as stack:
        enterprise = stack.cabinet.account(ACCOUNT).enterprise
        off, later = refs(stack)[:2]
        enterprise.change(off, active=False)
        stack.webhook.firing("VatsTrunkInactive", ACCOUNT, off)
        (exporter,) = stack.exporters
        exporter.kill()
        stack.webhook.firing("VatsExporterDown")
        # Nobody sees it fail until the exporter is back, and then it counts from there.
        enterprise.change(later, active=False)
        stack.minutes(60)
        exporter.start()
        stack.webhook.resolved("VatsExporterDown")
        stack.webhook.firing("VatsTrunkInactive", ACCOUNT, later)
        enterprise.change(off, active=True)
        told = stack.webhook.resolved("VatsTrunkInactive", ACCOUNT, off)
        assert told["annotations"]["resolved_ru"].endswith(": снова включён")
        instance = f"127.0.0.1:{stack.ports[0]}"
        expect(
            stack,
            firing("duty", "VatsTrunkInactive", off),
            firing("duty", "VatsExporterDown", instance, account=""),
            resolved("duty", "VatsExporterDown", instance, account=""),
            firing("duty", "VatsTrunkInactive", later),
            resolved("duty", "VatsTrunkInactive", off),
        )


def test_prometheus_is_restarted_after_an_hour_and_alertmanager_is_killed(tmp_path: Path) -> None:
    with story(tmp_path) as stack:
        enterprise = stack.cabinet.account(ACCOUNT).enterprise
        off, marked, gone = refs(stack)[:3]
        enterprise.change(off, active=False)
        enterprise.change(marked, marked_for_deletion=True)
        stack.webhook.firing("VatsTrunkInactive", ACCOUNT, off)
        stack.webhook.firing("VatsTrunkMarkedForDeletion", ACCOUNT, marked)
        stack.prometheus.stop()
        enterprise.remove(gone)
        stack.minutes(60)
        stack.prometheus.start()
        stack.webhook.firing("VatsTrunkGone", ACCOUNT, gone)
        stack.minutes(5)
        stack.alertmanager.kill()
        stack.alertmanager.start()
        # By then Prometheus has told the new one everything.
        stack.minutes(26)
        enterprise.change(off, active=True)
        enterprise.change(marked, marked_for_deletion=False)
        stack.webhook.resolved("VatsTrunkInactive", ACCOUNT, off)
        stack.webhook.resolved("VatsTrunkMarkedForDeletion", ACCOUNT, marked)
        expect(
            stack,
            firing("duty", "VatsTrunkInactive", off),
            firing("office", "VatsTrunkMarkedForDeletion", marked),
            firing("duty", "VatsTrunkGone", gone),
            resolved("duty", "VatsTrunkInactive", off),
            resolved("office", "VatsTrunkMarkedForDeletion", marked),
        )


def test_one_shard_of_two_is_dead_for_good(tmp_path: Path) -> None:
    with story(
        tmp_path,
        accounts=6,
        trunks=4,
        prometheus=(DEPLOY / "prometheus" / "scaling.yml").read_text(),
        exporters=2,
        options=("--collector.probe-only",),
    ) as stack:
        shards: list[list[str]] = [
            sorted(
                one["metric"]["instance"]
                for one in stack.query(f'up{{job="vats-accounts",exporter="127.0.0.1:{port}"}}')
            )
            for port in stack.ports
        ]
        dying, living = shards
        assert dying
        assert living
        before, after = refs(stack, living[0])[:2]
        lost = refs(stack, dying[0])[0]
        for account, ref in ((living[0], before), (dying[0], lost)):
            stack.cabinet.account(account).enterprise.change(ref, active=False)
            stack.webhook.firing("VatsTrunkInactive", account, ref)
        stack.exporters[0].kill()
        stack.webhook.firing("VatsExporterDown")
        stack.minutes(10)
        stack.cabinet.account(living[0]).enterprise.change(after, active=False)
        stack.webhook.firing("VatsTrunkInactive", living[0], after)
        expect(
            stack,
            firing("duty", "VatsTrunkInactive", before, account=living[0]),
            firing("duty", "VatsTrunkInactive", lost, account=dying[0]),
            firing("duty", "VatsExporterDown", f"127.0.0.1:{stack.ports[0]}", account=""),
            firing("duty", "VatsTrunkInactive", after, account=living[0]),
        )


def test_three_trunks_are_off_on_purpose_and_a_fourth_fails(tmp_path: Path) -> None:
    phones: list[str] = []

    def prepare(enterprise: Enterprise) -> None:
        for trunk in enterprise.trunks()[:3]:
            enterprise.change(trunk.ref, active=False)
            phones.append(trunk.phone)

    with story(
        tmp_path, trunks=5, prepare=prepare, account=lambda _: {"expected_off": phones}
    ) as stack:
        fourth = refs(stack)[3]
        stack.cabinet.account(ACCOUNT).enterprise.change(fourth, active=False)
        stack.webhook.firing("VatsTrunkInactive", ACCOUNT, fourth)
        expect(stack, firing("duty", "VatsTrunkInactive", fourth))


def test_three_thousand_trunks_are_off_and_back(tmp_path: Path) -> None:
    # A refresh reads 31 pages.
    with story(tmp_path, trunks=3000, minute=4 * MINUTE) as stack:
        enterprise = stack.cabinet.account(ACCOUNT).enterprise
        everything = refs(stack)
        between_refreshes(stack)
        for ref in everything:
            enterprise.change(ref, active=False)
        stack.webhook.firing("VatsManyTrunksInactive", ACCOUNT)
        stack.webhook.firing("VatsTrunkInactive", ACCOUNT, everything[-1])
        # Ten have texts, with their names, for the message's ten lines.
        named = {trunk.ref: trunk.name for trunk in enterprise.trunks()}
        worded = {
            one["labels"]["trunk"]: one["annotations"]["description_ru"]
            for one in stack.webhook.alerts()
            if one["labels"]["alertname"] == "VatsTrunkInactive" and one["annotations"]
        }
        assert len(worded) == 10, worded
        assert all(f"({named[ref]}): отключён с " in text for ref, text in worded.items()), worded
        between_refreshes(stack)
        for ref in everything:
            enterprise.change(ref, active=True)
        stack.webhook.resolved("VatsManyTrunksInactive", ACCOUNT)
        stack.webhook.resolved("VatsTrunkInactive", ACCOUNT, everything[-1])
        expect(
            stack,
            firing("duty", "VatsManyTrunksInactive"),
            firing("duty", "VatsTrunkInactive", *everything),
            resolved("duty", "VatsManyTrunksInactive"),
            resolved("duty", "VatsTrunkInactive", *everything),
            quiet=3,
        )


def test_a_trunk_is_marked_and_then_deleted(tmp_path: Path) -> None:
    with story(tmp_path) as stack:
        enterprise = stack.cabinet.account(ACCOUNT).enterprise
        marked = refs(stack)[0]
        enterprise.change(marked, marked_for_deletion=True)
        stack.webhook.firing("VatsTrunkMarkedForDeletion", ACCOUNT, marked)
        enterprise.change(marked, active=False)
        enterprise.remove(marked)
        told = stack.webhook.resolved("VatsTrunkMarkedForDeletion", ACCOUNT, marked)
        assert told["annotations"]["resolved_ru"].endswith(": удалён, в списке его больше нет")
        told = stack.webhook.firing("VatsTrunkGone", ACCOUNT, marked)
        assert told["labels"]["severity"] == "info"
        expect(
            stack,
            firing("office", "VatsTrunkMarkedForDeletion", marked),
            resolved("office", "VatsTrunkMarkedForDeletion", marked),
            firing("webhook", "VatsTrunkGone", marked),
        )


def test_a_trunk_flaps(tmp_path: Path) -> None:
    with story(tmp_path) as stack:
        enterprise = stack.cabinet.account(ACCOUNT).enterprise
        flapping = refs(stack)[0]
        while stack.webhook.alert("VatsTrunkFlapping", ACCOUNT, flapping) is None:
            enterprise.change(flapping, active=False)
            stack.minutes(4)
            enterprise.change(flapping, active=True)
            stack.minutes(3)
        expect(stack, firing("office", "VatsTrunkFlapping", flapping))


def test_an_account_is_down_for_two_hours_in_which_a_trunk_goes(tmp_path: Path) -> None:
    with story(tmp_path, accounts=2) as stack:
        account, other = (one.name for one in stack.cabinet.accounts)
        enterprise = stack.cabinet.account(account).enterprise
        off, going, mended = refs(stack, account)[:3]
        between_refreshes(stack)
        for ref in (off, mended):
            enterprise.change(ref, active=False)
        for ref in (off, mended):
            stack.webhook.firing("VatsTrunkInactive", account, ref)

        def down(incoming: Incoming) -> Fault | None:
            return Fault(drop=True) if incoming.account == account else None

        stack.cabinet.faults = down
        stack.webhook.firing("VatsAccountDown", account)
        enterprise.remove(going)
        enterprise.change(mended, active=True)
        stack.minutes(110)
        stack.cabinet.faults = None
        stack.webhook.resolved("VatsAccountDown", account)
        stack.webhook.resolved("VatsTrunkInactive", account, mended)
        stack.webhook.firing("VatsTrunkGone", account, going)
        assert stack.webhook.alert("VatsAccountDown", other) is None
        expect(
            stack,
            firing("duty", "VatsTrunkInactive", off, mended, account=account),
            firing("duty", "VatsAccountDown", account=account),
            resolved("duty", "VatsAccountDown", account=account),
            resolved("duty", "VatsTrunkInactive", mended, account=account),
            firing("duty", "VatsTrunkGone", going, account=account),
        )


def test_the_cabinet_is_redeployed(tmp_path: Path) -> None:
    with story(tmp_path) as stack:
        stack.cabinet.redeploy()
        stack.webhook.firing("VatsCabinetRedeployed", ACCOUNT)
        stack.webhook.resolved("VatsCabinetRedeployed", ACCOUNT)
        expect(
            stack,
            firing("webhook", "VatsCabinetRedeployed"),
            resolved("webhook", "VatsCabinetRedeployed"),
        )


def test_a_password_is_changed_and_an_alert_is_told_of_that_account_alone(tmp_path: Path) -> None:
    with story(tmp_path, accounts=2) as stack:
        account, other = (one.name for one in stack.cabinet.accounts)
        password = stack.cabinet.account(account).password
        off = refs(stack, account)[0]
        stack.cabinet.account(account).enterprise.change(off, active=False)
        stack.webhook.firing("VatsTrunkInactive", account, off)
        stack.cabinet.change_password(account, "another")
        stack.cabinet.end_sessions(account)
        stack.webhook.firing("VatsLoginRefused", account)
        loud = refs(stack, other)[0]
        stack.cabinet.account(other).enterprise.change(loud, bound=False)
        stack.webhook.firing("VatsTrunkUnbound", other, loud)
        stack.cabinet.change_password(account, password)
        stack.webhook.resolved("VatsLoginRefused", account)
        expect(
            stack,
            firing("duty", "VatsTrunkInactive", off, account=account),
            firing("duty", "VatsLoginRefused", account=account),
            firing("duty", "VatsTrunkUnbound", loud, account=other),
            resolved("duty", "VatsLoginRefused", account=account),
        )
