"""What a deployment draws, and what a redeployment draws anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vats_exporter.demo import Deployment, RowLayout
from vats_exporter.demo.deployment import (
    APPLICATION_CLASSES,
    COLUMNS,
    FIELDS,
    FIVE_AND_FOUR,
    LASTING_SIGNATURES,
    LIST_RECORD,
    LIST_RESPONSE,
    ROW_COLUMNS,
    Reading,
)
from vats_exporter.demo.population import Population


def test_a_redeployment_changes_the_applications_names_and_keeps_javas() -> None:
    old = Deployment.make(seed=1)
    new = old.redeployed(2)
    assert not set(old.permutations) & set(new.permutations)
    assert not set(old.policies.values()) & set(new.policies.values())
    for name, number in old.signatures.items():
        assert (new.signatures[name] == number) is (name in LASTING_SIGNATURES)


def test_a_redeployment_keeps_the_habits() -> None:
    old = replace(Deployment.make(seed=1, permutations=3), shared_booleans=True)
    new = old.redeployed(2)
    assert len(new.permutations) == 3
    assert new.shared_booleans


def test_the_usual_layout_has_every_usual_column() -> None:
    assert {*RowLayout().before, *RowLayout().after} == set(ROW_COLUMNS)


@pytest.mark.parametrize("kind", FIVE_AND_FOUR)
def test_a_row_has_a_value_for_each_field_of_its_class(kind: Reading) -> None:
    layout = RowLayout(before=tuple(COLUMNS), after=(), kind=kind)
    assert len(layout.row(Population().make_one()).values) == len(layout.fields())


def test_every_class_has_its_fields() -> None:
    chosen = {LIST_RECORD, LIST_RESPONSE}
    assert {*LASTING_SIGNATURES, *APPLICATION_CLASSES} - chosen == FIELDS.keys()
