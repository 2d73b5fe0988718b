"""The whole configurations of docs/scaling.md, pasted into a real Prometheus with the rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.stack import DEPLOY
from tests.e2e.story import BESIDES, expect, firing, refs, story

if TYPE_CHECKING:
    from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def pasted(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def test_both_languages_have_the_same_and_the_second_is_the_file_of_deploy() -> None:
    one, two = pasted("scaling.md")
    assert pasted("scaling.ru.md") == [one, two]
    file = (DEPLOY / "prometheus" / "scaling.yml").read_text("utf-8")
    assert yaml.safe_load(two) == yaml.safe_load(file)


@pytest.mark.parametrize("exporters", [1, 2])
def test_a_trunk_that_fails_is_told_and_nothing_else(exporters: int, tmp_path: Path) -> None:
    with story(
        tmp_path,
        accounts=4,
        trunks=3,
        prometheus=pasted("scaling.md")[exporters - 1],
        exporters=exporters,
        options=("--collector.probe-only",),
    ) as stack:
        jobs: list[Any] = stack.query("count by (job) (up == 1)")
        assert {one["metric"]["job"]: int(one["value"][1]) for one in jobs} == {
            "vats-accounts": 4,
            "vats-exporter": exporters,
        }
        account = stack.cabinet.accounts[0]
        off = refs(stack, account.name)[0]
        account.enterprise.change(off, active=False)
        stack.webhook.firing("VatsTrunkInactive", account.name, off)
        expect(stack, firing("duty", "VatsTrunkInactive", off, account=account.name))
        fired = stack.query('ALERTS{alertstate="firing"}')
        assert {one["metric"]["alertname"] for one in fired} - BESIDES == {"VatsTrunkInactive"}
