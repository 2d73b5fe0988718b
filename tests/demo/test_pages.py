"""What a client finds in the pages and scripts, by the structure that CABINET describes."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.demo.captures import capture, truth
from vats_exporter.demo import Deployment
from vats_exporter.demo.deployment import LASTING_SIGNATURES
from vats_exporter.demo.pages import (
    REFUSED,
    application_page,
    login_page,
    permutation_script,
    selection_script,
)
from vats_exporter.gwt import GWT_2_13

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


def test_a_permutation_is_javascript_in_a_string_in_an_array() -> None:
    deployment = Deployment.make()
    script = permutation_script(deployment, deployment.permutations[0])
    outer = re.fullmatch(r"vpbxGwt\.onScriptDownloaded\((\[.*\])\);\n", script)
    assert outer is not None
    (inner,) = json.loads(outer[1])
    assert f"$strongName = '{deployment.permutations[0]}'" in inner


def test_a_permutation_has_every_service_beside_its_hash() -> None:
    deployment = Deployment.make()
    script = permutation_script(deployment, deployment.permutations[0])
    found = dict(re.findall(r"'(\w+GwtService)','([0-9A-F]{32})'", script))
    assert found == deployment.policies
    assert set(found) == set(truth("permutation_cache")["service_policies"])


def test_a_permutation_has_every_signature_as_a_literal() -> None:
    deployment = Deployment.make()
    script = permutation_script(deployment, deployment.permutations[0])
    found = set(re.findall(r"'([\w.$]+/[0-9]+)'", script))
    assert found == {deployment.signature(name) for name in deployment.signatures}
    captured = truth("permutation_cache")["type_signatures"]
    assert {name.partition("/")[0] for name in found} == {
        name.partition("/")[0] for name in captured
    }


def test_the_minified_names_change_with_the_deployment() -> None:
    old = Deployment.make(seed=1)
    new = old.redeployed(2)
    declared = re.compile(r"(\w+)='\.cache\.js'")
    assert declared.findall(selection_script(old)) != declared.findall(selection_script(new))


def test_the_release_of_gwt_stands_in_the_permutation() -> None:
    old = Deployment.make()
    new = replace(old, style=GWT_2_13)
    assert r"$gwt_version = \"2.7.0\"" in permutation_script(old, old.permutations[0])
    assert r"$gwt_version = \"2.13.1\"" in permutation_script(new, new.permutations[0])


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
