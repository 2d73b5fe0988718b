"""What a deployment draws, and what a redeployment draws anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vats_exporter.demo import Deployment
from vats_exporter.demo.deployment import (
    COLUMNS,
    FIVE_AND_FOUR,
    LIST_RECORD,
    Reading,
)
from vats_exporter.gwt import GWT_2_13


def test_a_redeployment_changes_the_applications_names_and_keeps_javas() -> None:
    old = Deployment.make(seed=1)
    new = old.redeployed(2)
    assert not set(old.permutations) & set(new.permutations)
    assert not set(old.policies.values()) & set(new.policies.values())
    for name, number in old.signatures.items():
        assert (new.signatures[name] == number) is name.startswith(("java", "com.google", "["))


def test_a_redeployment_keeps_the_habits() -> None:
    old = replace(Deployment.make(seed=1, permutations=3), style=GWT_2_13, other_lists=2)
    new = old.redeployed(2)
    assert len(new.permutations) == 3
    assert (new.style, new.other_lists) == (GWT_2_13, 2)


@pytest.mark.parametrize("kind", FIVE_AND_FOUR)
def test_a_rows_class_has_a_field_for_each_of_its_values(kind: Reading) -> None:
    deployment = replace(Deployment.make(), before=tuple(COLUMNS), after=(), kind=kind)
    assert len(deployment.class_fields()[LIST_RECORD]) == len(COLUMNS) + (
        12 if kind in "bc" else 11
    )
