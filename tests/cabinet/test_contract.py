"""Requests are those that were observed, and that Google's server read."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.cabinet.contract import (
    DETAILS,
    LIST,
    OBSERVED_SIGNATURES,
    SELECTOR,
    Service,
    details_request,
    list_request,
    selector_request,
    validate_list_tail,
)
from vats_exporter.cabinet.discovery import Discovery
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.settings import DEFAULT_LIST_TAIL
from vats_exporter.gwt import parse_request

REQUESTS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "wire" / "requests.json").read_text(encoding="utf-8")
)["requests"]
OLDER_TAIL = "|{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|"
BARE = Discovery("https://vpbx.mts.ru/vpbxGwt/", "1A5FDAE779EE8CEF5D12EEC3ED1A7236")


def read_by_google(ending: str) -> str:
    """The captured request that ends so, and that Google's server could read."""
    return next(
        str(request["payload"])
        for request in REQUESTS
        if request["payload"].endswith(ending) and "refused_with" not in request
    )


def strings_of(payload: str, service: Service, method: str) -> tuple[str, ...]:
    """What a deployment with the request's names begins its requests with."""
    strings = parse_request(payload).strings
    policies = {service.path: strings[1]}
    discovery = Discovery(strings[0], BARE.permutation, policies, OBSERVED_SIGNATURES)
    return discovery.strings(service, method)


@pytest.mark.parametrize(
    ("tail", "row_filter", "page", "page_size", "ending"),
    [
        (DEFAULT_LIST_TAIL, -2, 0, 100, "|0|0|-2|7|0|8|CbwhyN|0|0|8|A|8|Bk|0|"),
        (DEFAULT_LIST_TAIL, 0, 0, 100, "|0|0|0|7|0|8|CbwhyN|0|0|8|A|8|Bk|0|"),
        (DEFAULT_LIST_TAIL, -2, 1, 10, "|0|0|-2|7|0|8|CbwhyN|0|0|8|B|8|K|0|"),
        (OLDER_TAIL, -2, 0, 100, "|0|0|-2|7|0|0|8|CbwhyN|0|8|A|8|Bk|0|"),
        (OLDER_TAIL.removeprefix("|"), -2, 0, 100, "|0|0|-2|7|0|0|8|CbwhyN|0|8|A|8|Bk|0|"),
    ],
)
def test_the_list_request_is_the_observed_one(
    tail: str, row_filter: int, page: int, page_size: int, ending: str
) -> None:
    observed = read_by_google(ending)
    built = list_request(
        strings_of(observed, LIST, "list"),
        tail=tail,
        row_filter=row_filter,
        enterprise="CbwhyN",
        page=page,
        page_size=page_size,
    )
    assert built == observed


@pytest.mark.parametrize(
    ("page", "written"), [(0, "A"), (25, "Z"), (26, "a"), (63, "_"), (64, "BA")]
)
def test_pages_are_counted_as_gwt_writes_longs(page: int, written: str) -> None:
    strings = strings_of(read_by_google("|A|8|Bk|0|"), LIST, "list")
    body = list_request(
        strings, tail=DEFAULT_LIST_TAIL, row_filter=0, enterprise="A", page=page, page_size=10
    )
    assert body.endswith(f"|8|{written}|8|K|0|")


@pytest.mark.parametrize("form", [31, 32])
def test_the_details_request_is_the_observed_one(form: int) -> None:
    observed = read_by_google(f"|5|CaLztv|6|{form}|")
    strings = strings_of(observed, DETAILS, "getForm")
    assert details_request(strings, trunk="CaLztv", form=form) == observed


@pytest.mark.parametrize("enabled", [True, False])
def test_the_selector_request_is_as_described(enabled: bool) -> None:
    observed = read_by_google(f"|5|CaLztv|6|{int(enabled)}|")
    strings = strings_of(observed, SELECTOR, "setEnabled")
    built = selector_request(strings, trunk="CaLztv", enabled=enabled)
    assert built == observed


def test_a_service_without_a_policy_says_which_setting_gives_it() -> None:
    with pytest.raises(UndecodableError, match=r"services\.DispatcherGwtService sets it by hand"):
        BARE.strings(DETAILS, "getForm")


@pytest.mark.parametrize(
    "tail", [DEFAULT_LIST_TAIL, OLDER_TAIL, "6|1|7|0|8|CbwhyN|{page}|{page_size}|"]
)
def test_tails_that_were_seen_are_accepted(tail: str) -> None:
    validate_list_tail(tail)


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (DEFAULT_LIST_TAIL.removesuffix("|"), 'end with "|"'),
        ("", 'end with "|"'),
        ("|", "empty|missing"),
        (DEFAULT_LIST_TAIL.replace("{page}", "A"), r"\{page\} is missing"),
        (DEFAULT_LIST_TAIL.replace("{page_size}", "Bk"), r"\{page_size\} is missing"),
        (
            DEFAULT_LIST_TAIL.replace("{filter}", "{flter}"),
            r"value 1 is an unknown placeholder; known",
        ),
        (
            DEFAULT_LIST_TAIL.replace("{page_size}", "{page size}"),
            r"is an unknown placeholder; known",
        ),
        (DEFAULT_LIST_TAIL.replace("{page}", "x{page}"), "value 9 is an unknown placeholder"),
        (DEFAULT_LIST_TAIL.replace("{page}", "{page}{page}"), "unknown placeholder"),
        (DEFAULT_LIST_TAIL.replace("7|0", "7||0"), "value 3 is empty"),
        (DEFAULT_LIST_TAIL.replace("7|0", "7|a b"), "value 3 is neither"),
        (DEFAULT_LIST_TAIL.replace("7|0", "7|\\!"), "value 3 is neither"),
        ("7|0|8|3|https://vpbx.mts.ru/|{page}|{page_size}|", "value 5 is neither"),
    ],
)
def test_a_tail_that_cannot_work_is_refused_with_the_place(tail: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        validate_list_tail(tail)


@given(st.text("{}pagesizefiltr_|$0-A 8", max_size=40) | st.text(max_size=40))
def test_a_tail_that_is_accepted_builds_a_request_that_can_be_read(text: str) -> None:
    tail = f"{text}|{{page}}|{{page_size}}|"
    with contextlib.suppress(ValueError):
        validate_list_tail(tail)
        strings = strings_of(read_by_google("|A|8|Bk|0|"), LIST, "list")
        body = list_request(strings, tail=tail, row_filter=0, enterprise="A", page=1, page_size=10)
        assert parse_request(body).tokens[-2:] == ("B", "K")
