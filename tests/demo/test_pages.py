"""What a client finds in the pages and scripts, by the structure that CABINET describes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.demo.captures import capture
from vats_exporter.demo import Deployment
from vats_exporter.demo.deployment import LASTING_SIGNATURES
from vats_exporter.demo.pages import (
    REFUSED,
    application_page,
    login_page,
    selection_script,
)

NAMES = re.compile(r"'([0-9A-F]{32})'")


def test_the_login_page_is_the_captured_one() -> None:
    assert login_page() == capture("login_page")


def test_the_login_page_tells_of_a_refused_login() -> None:
    assert f"var lastError = '{REFUSED}';" in login_page(refused=True)


def test_the_applications_page_loads_the_selection_script_and_escapes_the_login() -> None:
    page = application_page(2613189773, "<+7>")
    assert 'src="/vpbxGwt/vpbxGwt.nocache.js"' in page
    assert "&lt;+7&gt;" in page


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_selection_script_names_just_the_permutations(count: int) -> None:
    deployment = Deployment.make(permutations=count)
    assert tuple(NAMES.findall(selection_script(deployment))) == deployment.permutations


def test_the_minified_names_change_with_the_deployment() -> None:
    old = Deployment.make(seed=1)
    new = old.redeployed(2)
    declared = re.compile(r"(\w+)='\.cache\.js'")
    assert declared.findall(selection_script(old)) != declared.findall(selection_script(new))


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
