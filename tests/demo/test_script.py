"""The compiled application, as a JavaScript engine runs it: it reads the cabinet's own answers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from py_mini_racer import MiniRacer

from tests.demo.captures import truth
from tests.demo.deployments import DEPLOYMENTS
from vats_exporter.demo import Deployment, make_accounts
from vats_exporter.demo.rpc import list_page
from vats_exporter.demo.script import scripts
from vats_exporter.gwt import GWT_2_13

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.demo import SimulatedTrunk

ENTERPRISE = 2613189773
BROWSER = "var window={parent:{vpbxGwt:{__sendStats:function(){}}}};"
# What a client keeps of an object: the values of its properties, in the order they were read.
FLATTEN = (
    "function flat(a){return a===null||typeof a!=='object'?a:Array.isArray(a)?a.map(flat)"
    ":Object.values(a).map(flat)}"
)
# The functions of the runtime with which a browser would begin.
PREPARE = r"function ([\w$]+)\(b\)\{var a=\{\}"
READ_OBJECT = r"function ([\w$]+)\(a\)\{var b,c,d,e;"
COLUMNS: dict[str, Callable[[SimulatedTrunk], Any]] = {
    "department": lambda trunk: trunk.department,
    "name": lambda trunk: trunk.name,
    "phone": lambda trunk: trunk.phone,
    "inner_number": lambda trunk: trunk.inner_number,
    "migration": lambda trunk: trunk.migration,
    "created": lambda trunk: trunk.created,
    "note": lambda trunk: trunk.note,
    "balance": lambda trunk: trunk.balance,
    "contact": lambda trunk: [trunk.phone, trunk.created, trunk.name],
    "options": lambda trunk: [["transport", "UDP", "inner", trunk.inner_number]],
    "codes": lambda trunk: [int(digit) for digit in trunk.inner_number[:2]],
}


@pytest.fixture(params=[*DEPLOYMENTS.values()], ids=[*DEPLOYMENTS])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    chosen: Deployment = request.param
    return chosen


def permutation(deployment: Deployment) -> str:
    """The script of the first permutation."""
    return scripts(deployment)[f"{deployment.permutations[0]}.cache.js"]


def fragments(deployment: Deployment) -> list[str]:
    """Those of its fragments, in their order."""
    folder = f"deferredjs/{deployment.permutations[0]}"
    numbers = range(1, deployment.fragments + 1)
    return [scripts(deployment)[f"{folder}/{number}.cache.js"] for number in numbers]


def selection(deployment: Deployment) -> str:
    """The script that chooses a permutation."""
    return scripts(deployment)["vpbxGwt.nocache.js"]


def code(script: str) -> str:
    """What a wrapped script holds."""
    literals = script[script.index("(") + 1 : script.rindex(")")]
    loaded = json.loads(literals)
    return loaded if isinstance(loaded, str) else "".join(loaded)


def run(deployment: Deployment, answer: str) -> Any:
    """Read an answer as the compiled application does."""
    engine = MiniRacer()
    engine.eval(BROWSER + FLATTEN)
    application = code(permutation(deployment))
    engine.eval(application)
    for fragment in fragments(deployment):
        engine.eval(code(fragment))
    prepare, read_object = (re.search(entry, application) for entry in (PREPARE, READ_OBJECT))
    assert prepare
    assert read_object
    read = f"{read_object[1]}({prepare[1]}({answer.removeprefix('//OK')}))"
    return json.loads(str(engine.eval(f"JSON.stringify(flat({read}))")))


def expected_row(trunk: SimulatedTrunk, deployment: Deployment) -> list[Any]:
    state = trunk.state
    kinds: dict[str, list[Any]] = {"b": ["SIM", state.active], "c": [8, state.active]}
    active = kinds.get(deployment.kind, [state.active])
    flags = [state.off, 0, state.marked_for_deletion, state.bound]
    block = [0, 0, 0, *flags, *active, None, None, trunk.id]
    before, after = (
        [COLUMNS[column](trunk) for column in columns]
        for columns in (deployment.before, deployment.after)
    )
    return [*before, *block, *after]


def test_the_compiled_application_reads_the_list(deployment: Deployment) -> None:
    (account,) = make_accounts(trunks=30)
    trunks = account.enterprise.trunks()

    page = list_page(deployment, ENTERPRISE, trunks, len(trunks))
    enterprise, *lists, total = run(deployment, deployment.write(page))

    assert (enterprise, total) == (ENTERPRISE, 30)
    *others, [rows] = lists
    assert rows == [expected_row(trunk, deployment) for trunk in trunks]
    queues = [[f"Очередь {at + 1}", at, at % 2 == 0] for at in range(3)]
    assert others == [[queues[:length]] for length in range(deployment.other_lists)]


def test_a_deployment_without_a_list_in_its_permutation_has_it_in_one_fragment() -> None:
    deployment = replace(Deployment.make(), fragments=3, list_fragment=2)
    texts = [permutation(deployment), *fragments(deployment)]
    policy = deployment.policies["AbonentBrowserGwtService"]
    assert [policy in text for text in texts] == [False, False, True, False]


def test_a_permutation_is_javascript_in_a_string_in_an_array() -> None:
    deployment = Deployment.make()
    script = permutation(deployment)
    outer = re.fullmatch(r"vpbxGwt\.onScriptDownloaded\((\[.*\])\);\n", script)
    assert outer is not None
    (inner,) = json.loads(outer[1])
    assert f"$strongName = '{deployment.permutations[0]}'" in inner


def test_a_permutation_has_every_service_beside_its_hash() -> None:
    deployment = Deployment.make()
    script = permutation(deployment)
    found = dict(re.findall(r"'(\w+GwtService)','([0-9A-F]{32})'", script))
    assert found == deployment.policies
    assert set(found) == set(truth("permutation_cache")["service_policies"])


def test_a_permutation_has_every_signature_as_a_literal() -> None:
    deployment = Deployment.make()
    script = permutation(deployment)
    found = set(re.findall(r"'(\[?[\w.$]+/[0-9]+)'", script))
    assert found == {deployment.signature(name) for name in deployment.signatures}
    captured = truth("permutation_cache")["type_signatures"]
    assert {name.partition("/")[0] for name in found} >= {
        name.partition("/")[0] for name in captured
    }


def test_the_release_of_gwt_stands_in_the_permutation() -> None:
    old = Deployment.make()
    new = replace(old, style=GWT_2_13)
    assert r"$gwt_version = \"2.7.0\"" in permutation(old)
    assert r"$gwt_version = \"2.13.1\"" in permutation(new)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_selection_script_names_just_the_permutations(count: int) -> None:
    deployment = Deployment.make(permutations=count)
    names = re.findall(r"'([0-9A-F]{32})'", selection(deployment))
    assert tuple(names) == deployment.permutations


def test_the_minified_names_change_with_the_deployment() -> None:
    old = Deployment.make(seed=1)
    new = old.redeployed(2)
    declared = re.compile(r"(\w+)='\.cache\.js'")
    assert declared.findall(selection(old)) != declared.findall(selection(new))
