"""What a deployment draws, and what a redeployment draws anew."""

from __future__ import annotations

from dataclasses import replace

from vats_exporter.demo import Deployment
from vats_exporter.demo.classes import LASTING_SIGNATURES


def test_a_redeployment_changes_the_applications_names_and_keeps_javas() -> None:
    old = Deployment.make(seed=1)
    new = old.redeployed(2)
    assert not set(old.permutations) & set(new.permutations)
    assert not set(old.policies.values()) & set(new.policies.values())
    for name, number in old.signatures.items():
        assert (new.signatures[name] == number) is (name in LASTING_SIGNATURES)


def test_a_redeployment_keeps_the_habits() -> None:
    old = replace(Deployment.make(seed=1, permutations=3), shared_booleans=True, null_devices=True)
    new = old.redeployed(2)
    assert len(new.permutations) == 3
    assert new.shared_booleans
    assert new.null_devices
