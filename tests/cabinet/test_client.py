"""A cabinet is read by itself, over captures of Google's server; what ends is renewed once."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cabinet.replay import (
    ALPHABET,
    ENTERPRISE,
    LIST,
    NOCACHE,
    PASSWORD,
    PERMUTATION,
    PERMUTATION_POLICY,
    SIGN_IN,
    SIGNATURES,
    Received,
    ReplayServer,
    Reply,
    capture,
    gwt,
    html,
    redirect,
    truth,
)
from vats_exporter.cabinet.errors import (
    CabinetError,
    GwtExceptionError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    RedeployedError,
    UndecodableError,
)
from vats_exporter.cabinet.trace import Redeployed, SignIn, TraceEvent

if TYPE_CHECKING:
    from tests.cabinet.conftest import CabinetMaker
    from vats_exporter.cabinet.client import CabinetClient

Hides = Callable[[BaseException], None]
REDEPLOYED = "49826FB6F3AD24BF916A9026ED9BE186"


def rows(name: str) -> list[dict[str, Any]]:
    found = truth(name)["rows"]
    assert isinstance(found, list)
    return found


def ids(name: str) -> list[str]:
    return [row["id_b64"] for row in rows(name)]


def renamed(body: bytes, page: int) -> bytes:
    """A capture's page with other references, unlike those of other pages."""
    return re.sub(rb"'Ca(?=[^']{4}',2,)", b"'" + ALPHABET[page + 3].encode() + b"a", body)


# -- the ordinary run


def test_a_page_of_a_capture_becomes_its_trunks(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    listing = cabinet.read_trunks()
    assert [trunk.ref for trunk in listing.trunks] == ids("list_page3")
    assert [trunk.phone for trunk in listing.trunks] == [
        "79161234570",
        "79161234620",
        "79161234650",
    ]
    assert [trunk.pattern for trunk in listing.trunks] == ["1100", "0011", "1000"]
    assert listing.pages == 2


def test_the_first_use_signs_in_discovers_and_lists_in_this_order(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    assert server.calls() == [
        SIGN_IN,
        "/",
        ENTERPRISE,
        NOCACHE,
        f"/vpbxGwt/{PERMUTATION}.cache.js",
        LIST,
        LIST,
    ]


def test_session_discovery_and_connection_are_kept(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    for _ in range(3):
        cabinet.read_trunks()
    assert server.count(SIGN_IN) == 1
    assert server.count(NOCACHE) == 1
    assert server.count(LIST) == 6
    assert server.connections == 1


def test_nothing_is_asked_before_it_is_needed(cabinet: CabinetClient, server: ReplayServer) -> None:
    assert cabinet.discovery is None
    assert server.received == []


def test_three_hundred_trunks_take_four_list_requests(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.pages = [renamed(capture("list_page100"), page) for page in range(3)]
    listing = make_cabinet(server, page_size=100).read_trunks()
    assert len(listing.trunks) == 300
    assert [request.page for request in server.received if request.path == LIST] == [*"ABCD"]


def test_a_list_ends_with_its_short_page(server: ReplayServer, make_cabinet: CabinetMaker) -> None:
    page = capture("list_page100")
    server.pages = [page, renamed(page, 7), capture("list_last_short")]
    listing = make_cabinet(server, page_size=100, check_total=True).read_trunks()
    # The captures say a total of 237.
    assert len(listing.trunks) == 237
    assert server.count(LIST) == 3


def test_the_list_request_is_the_observed_one(cabinet: CabinetClient, server: ReplayServer) -> None:
    cabinet.read_trunks()
    request = next(request for request in server.received if request.path == LIST)
    signature = {text.partition("/")[0].rpartition(".")[2]: text for text in SIGNATURES}
    assert request.body.decode() == "|".join(
        [
            "7|0|8",
            f"{server.url}/vpbxGwt/",
            PERMUTATION_POLICY,
            "ru.cti.vpbx.shared.services.AbonentBrowserGwtService",
            "list",
            signature["AbonentBrowserRequestGWTModel"],
            signature["Boolean"],
            signature["MIGRATION_STATE_TYPE"],
            signature["Long"],
            "1|2|3|4|1|5|5|0|6|0|0|-2|7|0|8|CbwhyN|0|0|8|A|8|D|0|",
        ]
    )
    assert request.headers["x-gwt-permutation"] == PERMUTATION
    assert request.headers["x-gwt-module-base"] == f"{server.url}/vpbxGwt/"
    assert request.headers["content-type"] == "text/x-gwt-rpc; charset=utf-8"


def test_every_request_says_honestly_who_asks(cabinet: CabinetClient, server: ReplayServer) -> None:
    cabinet.read_trunks()
    assert all(
        request.headers["user-agent"].startswith("vats-exporter/") for request in server.received
    )


@pytest.mark.parametrize("name", ["list_page3_dq", "list_shared_boolean", "list_escapes"])
def test_other_captures_are_read_too(
    name: str, server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.pages = [capture(name)]
    listing = make_cabinet(server, page_size=len(rows(name))).read_trunks()
    assert [trunk.ref for trunk in listing.trunks] == ids(name)
    assert [trunk.id for trunk in listing.trunks] == [row["id"] for row in rows(name)]


def test_one_page_is_read_for_a_check(server: ReplayServer, make_cabinet: CabinetMaker) -> None:
    server.pages = [capture("list_page100")]
    listing = make_cabinet(server, page_size=100, check_total=True).read_first_page()
    assert len(listing.trunks) == 100
    assert server.count(LIST) == 1


def test_what_was_found_can_be_looked_at(cabinet: CabinetClient) -> None:
    cabinet.read_first_page()
    assert cabinet.discovery is not None
    assert cabinet.discovery.permutation == PERMUTATION
    assert cabinet.discovery.policies["AbonentBrowserGwtService"] == PERMUTATION_POLICY
    assert set(cabinet.discovery.signatures.values()) == SIGNATURES
    assert cabinet.enterprise == "2613189773"


def test_threads_take_turns(cabinet: CabinetClient, server: ReplayServer) -> None:
    listings = []
    threads = [
        threading.Thread(target=lambda: listings.append(cabinet.read_trunks())) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [len(listing.trunks) for listing in listings] == [3] * 5
    assert server.connections == 1
    assert server.count(SIGN_IN) == 1


def test_a_closed_cabinet_signs_in_anew(cabinet: CabinetClient, server: ReplayServer) -> None:
    cabinet.read_trunks()
    cabinet.close()
    cabinet.read_trunks()
    assert server.count(SIGN_IN) == 2


# -- what is set by hand


def test_what_is_set_by_hand_wins(server: ReplayServer, make_cabinet: CabinetMaker) -> None:
    server.redeploy()
    server.policy = "F" * 32
    long_signature = "java.lang.Long/1"
    cabinet = make_cabinet(
        server,
        permutation=REDEPLOYED,
        services={"AbonentBrowserGwtService": "F" * 32},
        signatures={"java.lang.Long": long_signature},
        enterprise="42",
    )
    cabinet.read_first_page()
    body = server.received[-1].body.decode()
    assert server.count(NOCACHE) == 0
    assert f"|{'F' * 32}|" in body
    assert f"|{long_signature}|" in body
    assert "|8|q|0|0|8|" in body  # 42 as GWT writes it
    assert server.received[-1].headers["x-gwt-permutation"] == REDEPLOYED


def test_one_script_is_enough_where_the_service_is_set_by_hand(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    first = truth("nocache_five")["permutations"][0]  # type: ignore[index]  # JSON
    server.answer(NOCACHE, Reply(body=capture("nocache_five")))
    server.answer(f"/vpbxGwt/{first}.cache.js", Reply(body=b"var a='java.lang.Long/2';"))
    cabinet = make_cabinet(server, services={"AbonentBrowserGwtService": PERMUTATION_POLICY})
    cabinet.read_trunks()
    assert cabinet.discovery is not None
    assert cabinet.discovery.permutation == first
    assert "|java.lang.Long/2|" in server.received[-1].body.decode()


def test_an_enterprise_can_be_given_as_a_reference(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    make_cabinet(server, enterprise="Cb$_yN").read_first_page()
    assert "|8|Cb$_yN|0|0|8|" in server.received[-1].body.decode()


def test_the_older_tail_of_the_list_request_can_be_configured(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    tail = "|{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|"
    make_cabinet(server, list_tail=tail, filter=0).read_first_page()
    assert server.received[-1].body.endswith(b"|5|5|0|6|0|0|0|7|0|0|8|CbwhyN|0|8|A|8|D|0|")


# -- discovery


def test_a_script_that_lacks_the_service_is_passed_over(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    first, second = truth("nocache_five")["permutations"][:2]  # type: ignore[index]  # JSON
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
    fourth = truth("nocache_five")["permutations"][3]  # type: ignore[index]  # JSON
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


# -- the session ends


@pytest.mark.parametrize(
    "ended",
    [
        redirect("/login"),
        redirect("/login;jsessionid=123?error=1", status="303 See Other"),
        html(capture("login_page").decode()),
        Reply(status="401 Unauthorized"),
        Reply(status="403 Forbidden", body=b"<html>Forbidden</html>"),
    ],
    ids=["redirect", "redirect with a parameter", "login page", "401", "403"],
)
def test_a_session_that_ends_between_two_pages_is_renewed_once(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent], ended: Reply
) -> None:
    def end(request: object) -> Reply:
        server.end_sessions()
        return ended

    server.answer(LIST, gwt(capture("list_page3")), end)
    server.pages = [b"", capture("list_empty")]
    listing = cabinet.read_trunks()
    assert [trunk.ref for trunk in listing.trunks] == ids("list_page3")
    # The page that failed is asked for again, and no other.
    assert [request.page for request in server.received if request.path == LIST] == [*"ABB"]
    assert server.count(SIGN_IN) == 2
    assert [event.result for event in events if isinstance(event, SignIn)] == ["success"] * 2
    assert server.count(NOCACHE) == 1


def test_a_session_that_ends_right_after_signing_in_is_not_renewed_forever(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
) -> None:
    server.always(LIST, redirect("/login"))
    with pytest.raises(NotGwtError, match="right after signing in") as caught:
        cabinet.read_trunks()
    hides(caught.value)
    assert server.count(SIGN_IN) == 1
    assert server.count(LIST) == 1
    # Nor does the next reading take the session for a good one.
    with pytest.raises(NotGwtError, match="right after signing in"):
        cabinet.read_trunks()
    assert server.count(SIGN_IN) == 2


def test_an_ended_session_whose_password_is_refused_now_is_a_refused_login(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
) -> None:
    cabinet.read_trunks()
    server.end_sessions()
    server.password = "changed"
    with pytest.raises(LoginRefusedError) as caught:
        cabinet.read_trunks()
    hides(caught.value)
    assert server.count(SIGN_IN) == 2


@pytest.mark.parametrize("ended", [redirect("/login"), html(capture("login_page").decode())])
def test_a_session_that_ends_before_discovery_is_renewed(
    cabinet: CabinetClient, server: ReplayServer, ended: Reply
) -> None:
    cabinet.read_trunks()
    server.answer(LIST, gwt(capture("ex_incompatible_policy")))
    server.answer(NOCACHE, ended)
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 2
    assert server.count(NOCACHE) == 3


def test_a_session_ends_no_more_than_once_in_a_listing(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()

    def serve_and_end(request: Received) -> Reply:
        reply = server._list(request)
        server.end_sessions()
        return reply

    server.pages = [renamed(capture("list_page3"), page) for page in range(8)]
    server.always(LIST, server._behind_login(serve_and_end))
    with pytest.raises(NotGwtError, match="again"):
        cabinet.read_trunks()
    # One at the beginning, one in the middle, and no more.
    assert server.count(SIGN_IN) == 2


NO_SESSION = {
    "HTML without a form": html("<html><script src='/static/login.js'></script></html>"),
    "HTTP 500": Reply(status="500 Internal Server Error"),
    "HTTP 404": Reply(status="404 Not Found"),
    "an empty answer": Reply(),
    "JSON": Reply(body=b'{"error":"unauthorized"}'),
    "an exception of the application's": gwt(capture("ex_application")),
}


@pytest.mark.parametrize("ended", NO_SESSION.values(), ids=NO_SESSION.keys())
def test_an_ended_session_that_shows_otherwise_is_renewed_by_the_next_listing(
    cabinet: CabinetClient, server: ReplayServer, ended: Reply
) -> None:
    cabinet.read_trunks()
    usual = server._behind_login(server._list)

    def only_with_a_session(request: Received) -> Reply:
        reply = usual(request)
        return ended if reply.status.startswith("302") else reply

    server.always(LIST, only_with_a_session)
    server.end_sessions()
    with pytest.raises(CabinetError):
        cabinet.read_trunks()
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 2


def test_a_list_that_stays_broken_makes_sign_ins_rare(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    server.always(LIST, Reply(status="500 Internal Server Error"))
    sign_ins = []
    for _ in range(20):
        with pytest.raises(NotGwtError):
            cabinet.read_trunks()
        sign_ins.append(server.count(SIGN_IN))
    # Before the listing after the first failure, the second, the fourth, the eighth, the sixteenth.
    assert sign_ins == [1, 2, 3, 3, 4, 4, 4, 4, *[5] * 8, *[6] * 4]
    server._scripted.clear()
    cabinet.read_trunks()
    server.answer(LIST, Reply(status="500 Internal Server Error"))
    with pytest.raises(NotGwtError):
        cabinet.read_trunks()
    cabinet.read_trunks()
    assert server.count(SIGN_IN) == 7  # a success starts the count anew


# -- the deployment ends


def test_a_redeployment_between_two_pages_is_discovered_and_the_call_repeated(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent]
) -> None:
    def redeployed(request: object) -> Reply:
        server.redeploy(REDEPLOYED)
        return gwt(capture("ex_incompatible_policy"))

    server.answer(LIST, gwt(capture("list_page3")), redeployed)
    server.pages = [b"", capture("list_empty")]
    assert len(cabinet.read_trunks().trunks) == 3
    assert [request.page for request in server.received if request.path == LIST] == [*"ABB"]
    assert server.received[-1].headers["x-gwt-permutation"] == REDEPLOYED
    assert server.count(SIGN_IN) == 1
    assert Redeployed(PERMUTATION, REDEPLOYED) in events


@pytest.mark.parametrize(
    "name",
    [
        "ex_incompatible_policy",
        "ex_incompatible_type",
        "ex_incompatible_method",
        "ex_incompatible_method_dq",
    ],
)
def test_every_incompatibility_means_to_discover_again_once(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides, name: str
) -> None:
    cabinet.read_trunks()
    server.always(LIST, gwt(capture(name)))
    before = server.count(LIST)
    with pytest.raises(RedeployedError, match="IncompatibleRemoteServiceException") as caught:
        cabinet.read_trunks()
    assert str(truth(name)["message"])[:150] in str(caught.value)
    hides(caught.value)
    assert caught.value.result == "gwt_exception"
    assert server.count(LIST) == before + 2
    assert server.count(NOCACHE) == 2
    assert server.count(SIGN_IN) == 1


def test_names_that_are_refused_as_soon_as_they_were_found_are_not_looked_for_again_at_once(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    server.always(LIST, gwt(capture("ex_incompatible_type")))
    with pytest.raises(RedeployedError):
        cabinet.read_trunks()
    assert server.count(NOCACHE) == 1
    assert server.count(LIST) == 1


def test_the_same_permutation_found_again_is_no_redeployment(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent]
) -> None:
    cabinet.read_trunks()
    server.answer(LIST, gwt(capture("ex_incompatible_type")))
    cabinet.read_trunks()
    assert server.count(NOCACHE) == 2
    assert not any(isinstance(event, Redeployed) for event in events)


def test_a_session_and_a_deployment_may_both_end_at_once(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    server.end_sessions()
    server.redeploy(REDEPLOYED)
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 2
    assert server.count(NOCACHE) == 2


# -- bad answers to the list


@pytest.mark.parametrize(
    ("reply", "result", "says"),
    [
        (Reply(body=b""), "not_gwt", "empty"),
        (html(), "not_gwt", "HTML"),
        (Reply(body=b'{"error": "geheim-cookie"}'), "not_gwt", "JSON"),
        (Reply(status="500 Internal Server Error", body=b"geheim-cookie"), "not_gwt", "500"),
        (Reply(status="503 Service Unavailable"), "not_gwt", "503"),
        (
            Reply(status="503 Service Unavailable", headers={"Retry-After": "120"}),
            "not_gwt",
            "503.* 120 s",
        ),
        (Reply(status="429 Too Many Requests", headers={"Retry-After": "9"}), "not_gwt", "429"),
        (Reply(status="404 Not Found"), "not_gwt", "404"),
        (Reply(status="204 No Content"), "not_gwt", "204|empty"),
        (gwt(capture("list_page3")[:-2]), "undecodable", r"^list: .+"),
        (gwt(capture("list_page3")[:300]), "undecodable", r"^list: .+"),
        (gwt(b"//OK"), "undecodable", r"^list: .+"),
        (gwt(b"//OK[1,2,[],0,9]"), "undecodable", "version 9"),
        (gwt(b"//OK[1,[],0,7]"), "undecodable", "list"),
        (gwt(capture("setenabled")), "undecodable", "list"),
        (gwt(b"\xff\xfe//OK"), "not_gwt", r"^list: .+"),
        (gwt(capture("list_page3").replace("Служба".encode(), b"\xff")), "undecodable", "UTF-8"),
        (gwt(capture("ex_application")), "gwt_exception", "VpbxGwtException"),
        (gwt(b"//EX[0,[],0,7]"), "gwt_exception", "exception"),
    ],
)
def test_a_bad_answer_is_an_error_that_says_what_came(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides, reply: Reply, result: str, says: str
) -> None:
    server.answer(LIST, gwt(capture("list_page3")), reply)
    with pytest.raises(CabinetError, match=says) as caught:
        cabinet.read_trunks()
    assert caught.value.result == result
    assert str(caught.value).startswith("list: ")
    hides(caught.value)
    # The next reading starts afresh and finds everything.
    assert len(cabinet.read_trunks().trunks) == 3


def test_an_exception_of_the_server_is_named(cabinet: CabinetClient, server: ReplayServer) -> None:
    server.answer(LIST, gwt(capture("ex_application")))
    with pytest.raises(GwtExceptionError) as caught:
        cabinet.read_trunks()
    assert caught.value.class_name == "ru.cti.vpbx.shared.exceptions.VpbxGwtException"
    assert not isinstance(caught.value, RedeployedError)


INCOMPATIBLE = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (["geheim", "sip_9161234567_ab1c"], "list: the server answers an exception"),
        ([PASSWORD], "list: the server answers an exception"),
        ([f"{INCOMPATIBLE}/3936916533", "geheim"], "no reason given"),
        (
            [f"{INCOMPATIBLE}/3936916533", "Invalid type signature for ru.cti.Model"],
            "Invalid type signature for ru.cti.Model",
        ),
    ],
)
def test_only_names_of_classes_are_quoted_of_an_exception(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides, table: list[str], says: str
) -> None:
    answer = gwt(f"//EX[{len(table)},1,{json.dumps(table)},0,7]".encode())
    server.answer(LIST, answer, answer)
    with pytest.raises(GwtExceptionError, match=re.escape(says)) as caught:
        cabinet.read_trunks()
    assert "geheim" not in str(caught.value)
    hides(caught.value)


def test_a_list_that_changes_while_it_is_read_is_refused(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.pages = [capture("list_page3"), capture("list_page3")]
    with pytest.raises(IncompleteError, match="page 2 is page 1 again"):
        make_cabinet(server).read_trunks()


def test_a_total_that_does_not_match_is_refused(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    with pytest.raises(IncompleteError, match=r"3 rows.*the cabinet says 237"):
        make_cabinet(server, check_total=True).read_trunks()


def test_settings_do_not_show_the_password(cabinet: CabinetClient) -> None:
    assert PASSWORD not in repr(cabinet._settings)
    assert PASSWORD not in repr(vars(cabinet))


def test_any_answer_gives_a_list_or_one_error_of_the_tree(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_first_page()
    page = capture("list_page3")
    cuts = st.tuples(st.integers(0, len(page)), st.integers(0, len(page)), st.binary(max_size=9))
    bodies = st.binary(max_size=60) | cuts.map(lambda cut: page[: cut[0]] + cut[2] + page[cut[1] :])
    statuses = st.integers(200, 599).map(lambda code: f"{code} Whatever")

    @settings(max_examples=150, deadline=None)
    @given(bodies, st.just("200 OK") | statuses, st.sampled_from(["text/html", "", "gzip"]))
    def check(body: bytes, status: str, kind: str) -> None:
        reply = Reply(status, body, headers={"Content-Type": kind, "Connection": "close"})
        server.answer(LIST, reply)
        with contextlib.suppress(CabinetError):
            cabinet.read_first_page()
        server._scripted.clear()

    check()
