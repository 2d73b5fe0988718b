"""A browser's recording gives the configuration what it needs, and takes nothing else along."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.tools.har import Recording, RecordingError, read_recording

WIRE = Path(__file__).parents[1] / "wire"
RECORDINGS = Path(__file__).parent / "har"
REQUESTS = [
    entry["payload"] for entry in json.loads((WIRE / "requests.json").read_text())["requests"]
]
LIST = REQUESTS[0]
OLDER_LIST = next(payload for payload in REQUESTS if "|-2|7|0|0|8|CbwhyN|" in payload)
SELECTOR = next(payload for payload in REQUESTS if "|setEnabled|" in payload)


def call(service: str, body: str, host: str = "vpbx.mts.ru") -> dict[str, Any]:
    return {
        "request": {
            "method": "POST",
            "url": f"https://{host}/vpbxGwt/{service}",
            "headers": [
                {"name": "Cookie", "value": "JSESSIONID=geheim-cookie"},
            ],
            "postData": {"mimeType": "text/x-gwt-rpc; charset=utf-8", "text": body},
        },
        "response": {"status": 200, "content": {"text": "//OK[…]"}},
    }


def visit(path: str) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": f"https://vpbx.mts.ru{path}", "headers": []}}


SIGN_IN = {
    "request": {
        "method": "POST",
        "url": "https://vpbx.mts.ru/j_spring_security_check",
        "postData": {"text": "j_username=%2B7-9161234567&j_password=geheim-password"},
    }
}


def har(*entries: object) -> dict[str, Any]:
    return {"log": {"version": "1.2", "entries": list(entries)}}


def test_a_visit_gives_everything_the_configuration_needs() -> None:
    found = read_recording(
        har(
            SIGN_IN,
            visit("/gwt/enterprise/2613189773/"),
            call("AbonentBrowserGwtService", LIST),
            call("AbonentDeviceFormGwtService", SELECTOR),
        )
    )
    assert found.settings == {
        "address": "vpbx.mts.ru",
        "enterprise": "2613189773",
        "filter": "-2",
        "list_tail": "{filter}|7|0|8|{enterprise}|0|0|8|{page}|8|{page_size}|0|",
        "selector_method": "setEnabled",
    }
    assert found.missing == []


def test_the_older_order_of_the_tail_is_kept_as_recorded() -> None:
    found = read_recording(har(call("AbonentBrowserGwtService", OLDER_LIST)))
    assert (
        found.settings["list_tail"] == "{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|"
    )


def test_what_was_not_recorded_is_said() -> None:
    found = read_recording(har(call("AbonentBrowserGwtService", LIST)))
    assert [sentence.split(":")[0] for sentence in found.missing] == ["enterprise", "selector"]


def test_a_list_of_another_enterprise_than_the_visited_one_gives_no_template() -> None:
    found = read_recording(har(visit("/gwt/enterprise/1/"), call("AbonentBrowserGwtService", LIST)))
    assert found.settings["list_tail"] == ""
    assert any(sentence.startswith("list_tail") for sentence in found.missing)


def test_calls_of_other_hosts_are_left_out() -> None:
    found = read_recording(
        har(
            call("AbonentDeviceFormGwtService", SELECTOR, host="other.example"),
            call("AbonentBrowserGwtService", LIST, host="vpbx.mts.ru:8443"),
        )
    )
    assert found.settings["address"] == "vpbx.mts.ru:8443"
    assert found.settings["selector_method"] == ""


def test_no_credential_is_taken_along() -> None:
    found = read_recording(har(SIGN_IN, call("AbonentBrowserGwtService", LIST)))
    assert "geheim" not in repr(found)
    assert "9161234567" not in repr(found)


@pytest.mark.parametrize("document", [None, [], {}, {"log": {}}, {"log": {"entries": 5}}])
def test_what_is_no_recording_is_refused(document: object) -> None:
    with pytest.raises(RecordingError, match=r"log\.entries"):
        read_recording(document)


def test_a_recording_without_calls_says_how_to_make_one() -> None:
    with pytest.raises(RecordingError, match="open the tab with the list of subscribers"):
        read_recording(har(visit("/")))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["request", "method", "url", "headers", "postData", "text", "name"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(entries=st.lists(JSON, max_size=5), body=st.text(max_size=40), url=st.text(max_size=20))
def test_any_document_gives_a_recording_or_one_error(
    entries: list[Any], body: str, url: str
) -> None:
    odd = call("AbonentBrowserGwtService", body)
    odd["request"]["headers"] = entries
    with contextlib.suppress(RecordingError):
        read_recording(har(*entries, odd, call("AbonentBrowserGwtService", LIST, host=url)))


@given(cut=st.integers(0, len(LIST)))
def test_a_cut_request_is_passed_over(cut: int) -> None:
    whole = call("AbonentBrowserGwtService", LIST)
    found = read_recording(har(call("AbonentBrowserGwtService", LIST[:cut]), whole))
    assert found.settings["list_tail"]


def changed(old: str, new: str, payload: str = LIST) -> dict[str, Any]:
    assert old in payload
    return call("AbonentBrowserGwtService", payload.replace(old, new))


def test_a_filter_that_was_never_seen_is_kept_as_recorded() -> None:
    found = read_recording(har(changed("|0|-2|7|", "|0|5|7|")))
    assert found.settings["filter"] == ""
    assert found.settings["list_tail"].startswith("5|7|0|8|{enterprise}|")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("|1|2|3|4|1|5|5|0|6|0|0|", "|1|2|3|4|1|5|5|0|6|1|0|"),
        ("java.lang.Long/", "java.lang.Integer/"),
        ("|8|Bk|0|", "|8|100|0|"),
        ("|8|Bk|0|", "|8|B-k|0|"),
    ],
    ids=["another beginning", "no long", "a size that is a number", "a size that is no long"],
)
def test_a_list_request_that_is_built_otherwise_gives_no_template(old: str, new: str) -> None:
    found = read_recording(har(changed(old, new)))
    assert found.settings["list_tail"] == ""
    assert any(sentence.startswith("list_tail: ") for sentence in found.missing)


def test_a_recording_without_the_list_says_so() -> None:
    found = read_recording(har(call("AbonentDeviceFormGwtService", SELECTOR)))
    assert found.settings["selector_method"] == "setEnabled"
    assert any("list of subscribers was not opened" in sentence for sentence in found.missing)


def test_an_address_may_be_of_the_sixth_version() -> None:
    found = read_recording(har(call("AbonentBrowserGwtService", LIST, host="[2001:db8::1]")))
    assert found.settings["address"] == "[2001:db8::1]"


def test_an_address_that_is_none_is_passed_over() -> None:
    odd = call("AbonentBrowserGwtService", LIST, host="vpbx.mts.ru:x")
    found = read_recording(har(odd, call("AbonentBrowserGwtService", LIST)))
    assert found.settings["address"] == "vpbx.mts.ru"


@pytest.mark.parametrize("parameters", ["x|6|CaLztv|1|", ""])
def test_a_call_that_moves_no_selector_names_no_method(parameters: str) -> None:
    head = SELECTOR.partition("|1|2|3|4|2|")[0]
    odd = call("AbonentDeviceFormGwtService", f"{head}|1|2|3|4|2|{parameters}")
    found = read_recording(har(odd, call("AbonentBrowserGwtService", LIST)))
    assert found.settings["selector_method"] == ""


def test_a_visit_to_what_is_no_address_is_passed_over() -> None:
    odd = {"request": {"method": "GET", "url": "https://[vpbx/gwt/enterprise/1/", "headers": []}}
    found = read_recording(
        har(visit("/gwt/enterprise/2613189773/"), odd, call("AbonentBrowserGwtService", LIST))
    )
    assert found.settings["enterprise"] == "2613189773"


def recorded(name: str) -> Recording:
    return read_recording(json.loads((RECORDINGS / f"{name}.har").read_text("utf-8")))


TAIL = "{filter}|7|0|8|{enterprise}|0|0|8|{page}|8|{page_size}|0|"


@pytest.mark.parametrize(
    ("name", "selector_method"),
    [
        ("port443_mixed", "setEnabled"),
        ("jsessionid_page2", "setEnabled"),
        ("base64_postdata", ""),
        ("two_hosts", "setEnabled"),
    ],
)
def test_a_recording_that_is_written_otherwise_tells_the_same(
    name: str, selector_method: str
) -> None:
    found = recorded(name)
    assert (found.settings["address"], found.settings["enterprise"]) == (
        "vpbx.mts.ru",
        "2613189773",
    )
    assert (found.settings["list_tail"], found.settings["filter"]) == (TAIL, "-2")
    assert found.settings["selector_method"] == selector_method


def test_the_host_with_most_calls_is_the_cabinet_and_others_are_named() -> None:
    found = recorded("two_hosts")
    assert found.left_out == ["1 call to another host, other.example"]


def test_parameters_of_a_path_are_no_part_of_it() -> None:
    odd = call("AbonentDeviceFormGwtService;jsessionid=geheim-cookie", SELECTOR)
    found = read_recording(har(odd, call("AbonentBrowserGwtService", LIST)))
    assert found.settings["selector_method"] == "setEnabled"
    assert "geheim" not in repr(found)


def test_calls_outside_of_the_cabinets_module_are_told_as_such() -> None:
    odd = call("AbonentBrowserGwtService", LIST)
    odd["request"]["url"] = "https://vpbx.mts.ru/proxy/adminGwt/AbonentBrowserGwtService"
    found = read_recording(har(odd, odd, call("AbonentBrowserGwtService", LIST)))
    assert found.left_out == [
        "2 calls to /proxy/adminGwt/AbonentBrowserGwtService outside of /vpbxGwt/"
    ]
    with pytest.raises(RecordingError, match="left out: 1 call to /proxy/adminGwt/Abonent"):
        read_recording(har(odd))


def test_a_path_that_may_hold_anything_is_not_quoted() -> None:
    odd = call("AbonentBrowserGwtService", LIST)
    odd["request"]["url"] = "https://vpbx.mts.ru/geheim%20token/Service"
    found = read_recording(har(odd, call("AbonentBrowserGwtService", LIST)))
    assert found.left_out == ["1 call to a path outside of /vpbxGwt/"]


@pytest.mark.parametrize("data", [None, {"text": ""}, {"text": "N3ww"}, {"text": LIST[:20]}])
def test_a_call_whose_body_cannot_be_read_is_told(data: object) -> None:
    odd = call("AbonentBrowserGwtService", "")
    odd["request"]["postData"] = data
    found = read_recording(har(odd, call("AbonentBrowserGwtService", LIST)))
    assert found.left_out == ["1 call whose body is not there, cut off or no GWT-RPC"]


@pytest.mark.parametrize("text", ["no base64!", "/w==", "N3ww"])
def test_base64_that_is_none_of_a_call_is_told(text: str) -> None:
    odd = call("AbonentBrowserGwtService", text)
    odd["request"]["postData"]["encoding"] = "base64"
    with pytest.raises(RecordingError, match="left out: 1 call whose body is not there"):
        read_recording(har(odd))
