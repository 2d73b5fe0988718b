"""What the scripts of a deployment tell, whatever its build made of them, and what is asked for."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cabinet.replay import (
    LIST,
    NOCACHE,
    PERMUTATION,
    SIGN_IN,
    ReplayServer,
    Reply,
    capture,
    gwt,
    html,
)
from tests.doubles import read_first_page
from vats_exporter.cabinet import discovery
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.discovery import find_permutations
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    NotGwtError,
    RedeployedError,
    UndecodableError,
)
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts
from vats_exporter.demo import (
    Account,
    Answer,
    Deployment,
    Fault,
    Incoming,
    SimulatedCabinet,
    make_accounts,
)
from vats_exporter.demo.deployment import DETAILS_SERVICE, LIST_SERVICE, SELECTOR_SERVICE

if TYPE_CHECKING:
    from tests.cabinet.conftest import CabinetMaker

Hides = Callable[[BaseException], None]
WIRE = Path(__file__).parents[1] / "wire"
ONE = "1A5FDAE779EE8CEF5D12EEC3ED1A7236"
TWO = "49826FB6F3AD24BF916A9026ED9BE186"
SCRIPT = f"/vpbxGwt/{PERMUTATION}.cache.js"
HTML = f"/vpbxGwt/{PERMUTATION}.cache.html"
SEEN_ONCE = r"elsewhere were used: .*MIGRATION_STATE_TYPE"


def truth(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


# -- the selection script


@pytest.mark.parametrize("name", ["nocache_one", "nocache_five"])
def test_the_permutations_of_a_capture_are_found_in_order(name: str) -> None:
    script = (WIRE / f"{name}.txt").read_text(encoding="utf-8")
    assert list(find_permutations(script)) == truth(name)["permutations"]


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


@given(st.text(max_size=80) | st.lists(st.sampled_from(["'", '"', "\\", ",", ONE])).map("".join))
def test_any_text_gives_names_or_an_undecodable_error(text: str) -> None:
    with contextlib.suppress(UndecodableError):
        assert all(len(name) == 32 for name in find_permutations(text))


@pytest.mark.parametrize("piece", ["'", "\\", "'a", "'" + "A" * 31, "\\'A',"])
def test_time_is_linear_in_the_script(piece: str) -> None:
    def took(length: int) -> float:
        text = piece * (length // len(piece))
        start = time.process_time()
        with contextlib.suppress(UndecodableError):
            find_permutations(text)
        return time.process_time() - start

    # Quadratic time would be a hundred times as long; a slow machine is not three times slower
    # at one size than at the other.
    assert took(1_000_000) < 40 * max(took(100_000), 0.001)


# -- the permutation's script


def test_the_policies_and_signatures_of_a_capture_are_found(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    read_first_page(cabinet)
    found = cabinet.discovery
    assert found is not None
    expected = truth("permutation_cache")
    assert dict(found.policies) == expected["service_policies"]
    assert set(found.signatures.values()) == set(expected["type_signatures"])
    assert server.count(SCRIPT) == 1


def test_a_script_in_a_page_is_read_where_there_is_no_other(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    wrapped = capture("permutation_cache").decode()
    code = "".join(json.loads(wrapped[wrapped.index("[") : wrapped.rindex("]") + 1]))
    page = f"<html><script><!--\nvar $wnd=parent;{code}\n--></script></html>"
    server.always(SCRIPT, Reply(status="404 Not Found"))
    server.always(HTML, Reply(body=page.encode()))
    assert len(read_first_page(cabinet).trunks) == 3
    assert server.calls()[-3:] == [SCRIPT, HTML, LIST]


def test_two_permutations_are_read_and_no_more(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    names = truth("nocache_five")["permutations"]
    server.answer(NOCACHE, Reply(body=capture("nocache_five")))
    for name in names:
        server.always(f"/vpbxGwt/{name}.cache.js", Reply(body=b"var a='nothing';"))
    with pytest.raises(UndecodableError, match=r"services\.AbonentBrowserGwtService"):
        make_cabinet(server).read_trunks()
    read = [
        path for path in server.calls() if path.endswith(".cache.js") and "deferred" not in path
    ]
    assert read == [f"/vpbxGwt/{name}.cache.js" for name in names[:2]]


def test_a_script_past_the_bound_is_refused(
    cabinet: CabinetClient, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "_LONGEST_SCRIPT", 1000)
    with pytest.raises(UndecodableError, match="longer than 1000 bytes"):
        cabinet.read_trunks()


def test_a_signature_that_was_seen_once_is_named_when_the_server_refuses_it(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    name = "ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE"
    script = capture("permutation_cache").replace(name.encode(), b"ru.cti.vpbx.shared.enums.OTHER")
    server.always(SCRIPT, Reply(body=script))
    server.always(LIST, gwt(capture("ex_incompatible_type")))
    with pytest.raises(RedeployedError, match=SEEN_ONCE):
        cabinet.read_trunks()


# -- which scripts are read


def test_a_script_that_lacks_the_service_is_passed_over(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    first, second = truth("nocache_five")["permutations"][:2]
    server.answer(NOCACHE, Reply(body=capture("nocache_five")))
    server.answer(f"/vpbxGwt/{first}.cache.js", Reply(body=b"var a='something else';"))
    server.answer(f"/vpbxGwt/{second}.cache.js", Reply(body=capture("permutation_cache")))
    cabinet = make_cabinet(server)
    cabinet.read_trunks()
    assert cabinet.discovery is not None
    assert cabinet.discovery.permutation == second


def test_a_script_that_is_not_there_is_passed_over(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    fourth = truth("nocache_five")["permutations"][3]
    server.answer(NOCACHE, Reply(body=capture("nocache_five")))
    server.permutation = fourth
    cabinet = make_cabinet(server)
    cabinet.read_trunks()
    assert cabinet.discovery is not None
    assert cabinet.discovery.permutation == fourth


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (b"", r"nocache\.js.*permutation sets it by hand"),
        (b"<html>a page</html>", r"nocache\.js.*permutation sets it by hand"),
    ],
)
def test_a_selection_script_without_names_says_what_to_set(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides, script: bytes, says: str
) -> None:
    server.answer(NOCACHE, Reply(body=script))
    with pytest.raises(UndecodableError, match=says) as caught:
        cabinet.read_trunks()
    hides(caught.value)


def test_a_script_without_the_service_says_what_to_set(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    server.answer(f"/vpbxGwt/{PERMUTATION}.cache.js", Reply(body=b"var a='nothing';"))
    with pytest.raises(UndecodableError, match=r"services\.AbonentBrowserGwtService"):
        cabinet.read_trunks()
    # What was not found is looked for again.
    assert len(cabinet.read_trunks().trunks) == 3


def test_few_scripts_are_asked_for_however_many_are_named(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    names = ",".join(f"'{number:032X}'" for number in range(3000))
    server.always(NOCACHE, Reply(body=names.encode()))
    with pytest.raises(CabinetError, match="404"):
        make_cabinet(server).read_trunks()
    assert sum(path.endswith(".cache.js") for path in server.calls()) == 5


def test_a_login_page_with_a_byte_order_mark_is_one_all_the_same(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    server.answer(NOCACHE, html("\ufeff" + capture("login_page").decode()))
    with pytest.raises(NotGwtError, match="right after signing in"):
        cabinet.read_trunks()
    assert len(cabinet.read_trunks().trunks) == 3


def test_scripts_that_are_not_there_are_named(cabinet: CabinetClient, server: ReplayServer) -> None:
    server.always(f"/vpbxGwt/{PERMUTATION}.cache.js", Reply(status="404 Not Found"))
    with pytest.raises(CabinetError, match=rf"{PERMUTATION}\.cache\.js.*404") as caught:
        cabinet.read_trunks()
    assert caught.value.result == "not_gwt"


def test_a_failed_discovery_is_tried_again_by_the_next_call(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    server.answer(NOCACHE, Reply(status="503 Service Unavailable"))
    with pytest.raises(NotGwtError, match="503"):
        cabinet.read_trunks()
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 1


# -- deferred fragments


def deployed(**habits: Any) -> Deployment:
    return replace(Deployment.make(seed="fragments"), **habits)


@pytest.fixture
def sign_up() -> Iterator[Callable[..., tuple[SimulatedCabinet, CabinetClient]]]:
    with contextlib.ExitStack() as stack:

        def make(deployment: Deployment, **changes: Any) -> tuple[SimulatedCabinet, CabinetClient]:
            simulated = stack.enter_context(
                SimulatedCabinet(make_accounts(trunks=5), deployment=deployment)
            )
            (account,) = simulated.accounts
            settings = CabinetSettings(
                address=simulated.url, login=account.login, password=account.password, **changes
            )
            return simulated, stack.enter_context(CabinetClient(settings))

        yield make


SignUp = Callable[..., tuple[SimulatedCabinet, CabinetClient]]


def scripts(simulated: SimulatedCabinet) -> int:
    """How many scripts of permutations, and of their fragments, were asked for."""
    number: int = simulated.stats()["requests"]["permutation"]
    return number


@pytest.mark.parametrize("interned", [False, True])
def test_a_service_is_looked_for_in_the_fragments_until_it_is_found(
    sign_up: SignUp, interned: bool
) -> None:
    deployment = deployed(list_fragment=3, fragments=7, interned=interned)
    simulated, cabinet = sign_up(deployment)
    assert len(cabinet.read_trunks().trunks) == 5
    assert cabinet.discovery is not None
    assert cabinet.discovery.fragments == 3
    assert dict(cabinet.discovery.policies) == dict(deployment.policies)
    first = scripts(simulated)
    assert first == 1 + 3
    cabinet.read_trunks()
    cabinet.read_details(simulated.trunks()[0]["ref"])
    assert scripts(simulated) == first


@pytest.mark.parametrize("interned", [False, True])
def test_no_fragment_is_asked_for_where_nothing_is_missing(sign_up: SignUp, interned: bool) -> None:
    simulated, cabinet = sign_up(deployed(fragments=7, interned=interned))
    cabinet.read_trunks()
    cabinet.read_details(simulated.trunks()[0]["ref"])
    assert scripts(simulated) == 1


def test_what_is_in_no_fragment_is_looked_for_once(sign_up: SignUp) -> None:
    policies = {LIST_SERVICE: "0" * 32, DETAILS_SERVICE: "1" * 32}
    deployment = deployed(fragments=4)
    simulated, cabinet = sign_up(deployment, services=policies)
    simulated.deployment = replace(deployment, policies={**deployment.policies, **policies})
    cabinet.read_trunks()
    assert cabinet.discovery is not None
    before = scripts(simulated)
    for _ in range(3):
        assert not cabinet.discovery.look_for("NoSuchService")
    # The permutation's script, since texts are not kept, and fragments until the numbers end.
    assert scripts(simulated) == before + 1 + 4 + 1


def test_a_service_whose_hash_is_not_known_is_looked_for_when_it_is_called(sign_up: SignUp) -> None:
    simulated, cabinet = sign_up(deployed(fragments=4))
    cabinet.read_trunks()
    assert cabinet.discovery is not None
    del cabinet.discovery.policies[DETAILS_SERVICE]
    before = scripts(simulated)
    for _ in range(2):
        assert cabinet.read_details(simulated.trunks()[0]["ref"]).line
    # The script, and fragments until the numbers end: once, for both calls.
    assert scripts(simulated) == before + 1 + 4 + 1


@pytest.mark.parametrize(
    ("body", "requests"), [(b"", 1), (b" \n", 1), (b"\n<html>", 1), (b'{"error": 404}', 2)]
)
def test_what_a_server_has_for_whatever_there_is_not_ends_the_numbers(
    sign_up: SignUp, body: bytes, requests: int
) -> None:
    deployment = deployed(list_fragment=2, fragments=2, permutations=(PERMUTATION,))
    simulated, cabinet = sign_up(deployment)
    simulated.faults = lambda incoming: (
        Fault(instead=Answer(200, (), body))
        if incoming.call == "permutation" and incoming.number > 1
        else None
    )
    with pytest.raises(UndecodableError, match="no policy hash"):
        cabinet.read_trunks()
    assert scripts(simulated) == 1 + requests


def test_a_redeployment_is_looked_through_anew(sign_up: SignUp) -> None:
    simulated, cabinet = sign_up(deployed(list_fragment=2, fragments=2))
    cabinet.read_trunks()
    new = simulated.deployment.redeployed("another")
    simulated.deployment = replace(new, fragments=2, list_fragment=2)
    assert len(cabinet.read_trunks().trunks) == 5
    assert cabinet.discovery is not None
    assert cabinet.discovery.permutation == simulated.deployment.permutations[0]
    assert scripts(simulated) == 2 * (1 + 2)


def test_accounts_of_one_cabinet_share_what_its_script_tells() -> None:
    with contextlib.ExitStack() as stack:
        simulated = stack.enter_context(SimulatedCabinet(make_accounts(3, trunks=5)))
        found = []
        for account in simulated.accounts:
            settings = CabinetSettings(
                address=simulated.url, login=account.login, password=account.password
            )
            found.append(stack.enter_context(CabinetClient(settings)).discover())
        assert found[0].script is found[1].script is found[2].script


# -- the selector and the list's tail


def test_the_selectors_method_comes_from_the_script(sign_up: SignUp) -> None:
    simulated, cabinet = sign_up(deployed())
    trunk = next(one for one in simulated.trunks() if one["sip_device_enabled"])
    payload = cabinet.selector_payload(trunk["ref"], enabled=False)
    assert "|setEnabled|" in payload
    assert simulated.deployment.policies[SELECTOR_SERVICE] in payload
    cabinet.move_selector(trunk["ref"], enabled=False)
    now = next(one for one in simulated.trunks() if one["ref"] == trunk["ref"])
    assert now["sip_device_enabled"] is False


def test_a_tail_that_does_not_fit_the_class_is_told(sign_up: SignUp) -> None:
    _, cabinet = sign_up(deployed(), list_tail="{filter}|8|{page}|8|{page_size}|")
    with pytest.raises(CabinetError, match="the client writes 11 values"):
        read_first_page(cabinet)


def test_a_missing_script_is_no_cabinet(cabinet: CabinetClient, server: ReplayServer) -> None:
    server.always(SCRIPT, Reply(status="404 Not Found"))
    with pytest.raises(NotACabinetError, match=rf"{PERMUTATION}\.cache\.js is not there"):
        cabinet.read_trunks()


# -- many accounts at once


def test_few_accounts_hold_a_script_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_holding", threading.BoundedSemaphore(2))
    counted = {"nocache": threading.Semaphore(0), "permutation": threading.Semaphore(0)}
    go_on = threading.Event()

    def hold(incoming: Incoming) -> Fault | None:
        if incoming.call in counted:
            counted[incoming.call].release()
        return Fault(wait=go_on) if incoming.call == "permutation" else None

    def read(account: Account) -> int:
        settings = CabinetSettings(
            address=simulated.url, login=account.login, password=account.password
        )
        with CabinetClient(settings) as cabinet:
            return len(cabinet.read_trunks().trunks)

    with SimulatedCabinet(make_accounts(5, trunks=1)) as simulated, ThreadPoolExecutor(5) as pool:
        simulated.faults = hold
        reading = [pool.submit(read, account) for account in simulated.accounts]
        assert all(counted["nocache"].acquire(timeout=30.0) for _ in reading)
        assert all(counted["permutation"].acquire(timeout=30.0) for _ in range(2))
        assert not counted["permutation"].acquire(timeout=0.3)
        go_on.set()
        assert [one.result(timeout=30.0) for one in reading] == [1] * 5


def test_who_waits_too_long_for_its_turn_is_told(
    server: ReplayServer, make_cabinet: CabinetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = threading.BoundedSemaphore(1)
    monkeypatch.setattr(discovery, "_holding", taken)
    cabinet = make_cabinet(server, timeouts=Timeouts(call=0.5))
    with (
        taken,
        pytest.raises(CabinetTimeoutError, match="for other accounts to read their scripts"),
    ):
        cabinet.read_trunks()
    assert cabinet.read_trunks().trunks


def test_texts_are_told_from_others_without_a_copy_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    known = mock.Mock()
    monkeypatch.setattr(discovery, "_shared", known)
    texts = ["a" * 2_000_000, "b" * 2_000_000, "c" * 2_000_000]
    tracemalloc.start()
    try:
        assert discovery._read(*texts) is known.get.return_value
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
