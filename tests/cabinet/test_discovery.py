"""What the scripts of a deployment tell, whatever their build made of them."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.cabinet.discovery import find_permutations, find_policies, find_signatures
from vats_exporter.cabinet.errors import UndecodableError

WIRE = Path(__file__).parents[1] / "wire"
ONE = "1A5FDAE779EE8CEF5D12EEC3ED1A7236"
TWO = "49826FB6F3AD24BF916A9026ED9BE186"
HASH = "21569811FFF8DC732A4EE4D289FA66D3"


def script(name: str) -> str:
    return (WIRE / f"{name}.txt").read_text(encoding="utf-8")


def truth(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", ["nocache_one", "nocache_five"])
def test_the_permutations_of_a_capture_are_found_in_order(name: str) -> None:
    assert list(find_permutations(script(name))) == truth(name)["permutations"]


def test_the_policies_of_a_capture_are_found() -> None:
    assert (
        find_policies(script("permutation_cache")) == truth("permutation_cache")["service_policies"]
    )


def test_the_signatures_of_a_capture_are_found() -> None:
    expected = {
        signature.partition("/")[0]: signature
        for signature in truth("permutation_cache")["type_signatures"]
    }
    assert find_signatures(script("permutation_cache")) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"a='{ONE}',b='{TWO}'",
        f'a="{ONE}",b="{TWO}"',
        rf"x(\"{ONE}\");y(\'{TWO}\')",
        f"a='{ONE}';b='{ONE}';c='{TWO}'",
        f"g([d,e],'{ONE}'),g([f,e],'{TWO}:1')",
    ],
)
def test_permutations_are_found_in_either_quote_each_once(text: str) -> None:
    assert list(find_permutations(text)) == [ONE, TWO]


@pytest.mark.parametrize(
    "text",
    ["", "<html>nothing</html>", f"'{ONE[:-1]}'", f"'{ONE}0'", ONE, f"'{ONE[:-1]}G'"],
)
def test_a_selection_script_without_permutations_is_undecodable(text: str) -> None:
    with pytest.raises(UndecodableError, match=r"nocache\.js.*permutation") as caught:
        find_permutations(text)
    assert "by hand" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"f(b,'AbonentBrowserGwtService','{HASH}',T)",
        f'f(b,"AbonentBrowserGwtService","{HASH}",T)',
        f"f(b,'AbonentBrowserGwtService' , '{HASH}')",
        rf"f(b,\'AbonentBrowserGwtService\',\'{HASH}\')",
        rf"f(b,\"AbonentBrowserGwtService\",\"{HASH}\")",
        f"var $a='AbonentBrowserGwtService',_b='{HASH}',c=1",
        f"'AbonentBrowserGwtService',\n  '{HASH}'",
    ],
)
def test_a_policy_is_found_however_a_build_writes_it(text: str) -> None:
    assert find_policies(text) == {"AbonentBrowserGwtService": HASH}


@pytest.mark.parametrize(
    "text",
    [
        f"'AbonentBrowserGwtService';'{HASH}'",
        f"'AbonentBrowserGwtService','list','{HASH}'",
        f"'AbonentBrowserGwtService','{HASH[:-1]}'",
        f"'AbonentBrowserGwtService','{HASH}0'",
    ],
)
def test_a_hash_that_stands_elsewhere_is_no_policy(text: str) -> None:
    assert find_policies(text) == {}


@pytest.mark.parametrize(
    "signature",
    [
        "java.lang.Long/4227064769",
        "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER/1933436215",
        "[Ljava.lang.String;/2600011424",
        "[[Lru.cti.Model;/1",
        "[I/2970817851",
    ],
)
@pytest.mark.parametrize("quoted", ["a['{}']=1", 'a["{}"]=1', r"a[\"{}\"]=1", r"a[\'{}\']=1"])
def test_a_signature_is_found_in_any_quotes(signature: str, quoted: str) -> None:
    assert find_signatures(quoted.format(signature)) == {signature.partition("/")[0]: signature}


def test_ordinary_text_with_a_slash_is_no_signature() -> None:
    assert find_signatures("'text/x-gwt-rpc' '1/2' 'java.lang.Long' 'a b/12'") == {}


PIECES = st.sampled_from(
    ["'", '"', "\\", ",", " ", "=", "$a", ONE, HASH, "AbonentBrowserGwtService", "java.lang.Long/1"]
)


@given(st.text(max_size=80) | st.lists(PIECES, max_size=30).map("".join))
def test_any_text_gives_names_or_an_undecodable_error(text: str) -> None:
    with contextlib.suppress(UndecodableError):
        assert all(len(name) == 32 for name in find_permutations(text))
    assert all(len(policy) == 32 for policy in find_policies(text).values())
    for name, signature in find_signatures(text).items():
        assert signature.startswith(f"{name}/")


@pytest.mark.parametrize(
    "piece", ["'", "\\", "'a", "'a' ,", "'[[[", "'" + "a" * 99, "'" + "A" * 31, "'a.a", "\\'A',"]
)
def test_time_is_linear_in_the_script(piece: str) -> None:
    def took(length: int) -> float:
        text = piece * (length // len(piece))
        start = time.process_time()
        find_policies(text)
        find_signatures(text)
        with contextlib.suppress(UndecodableError):
            find_permutations(text)
        return time.process_time() - start

    # Quadratic time would be a hundred times as long; a slow machine is not three times slower
    # at one size than at the other.
    assert took(1_000_000) < 40 * max(took(100_000), 0.001)
