"""The services: as strict as Google's server code, with its words, and writing as it does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.demo.browser import Client, answer, refs
from tests.demo.captures import capture, captured_deployment, captured_form, captured_trunks, truth
from vats_exporter.demo import Deployment, SimulatedCabinet, make_accounts
from vats_exporter.demo.deployment import APPLICATION_ERROR, BOOLEAN, COLUMNS, Object
from vats_exporter.demo.rpc import form, list_page
from vats_exporter.gwt import decode

if TYPE_CHECKING:
    from collections.abc import Callable

INCOMPATIBLE = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"
CALL_FAILED = "The call failed on the server; see server log for details"
LIST = "AbonentBrowserGwtService"
STALE = "0" * 32
ENTERPRISE = 2613189773
USUAL = Deployment.make()

REQUESTS: list[dict[str, Any]] = truth("requests")["requests"]
PATHS = {
    "AbonentBrowserGwtService": "AbonentBrowserGwtService",
    "DispatcherService": "DispatcherGwtService",
    "AbonentDeviceFormGwtService": "AbonentDeviceFormGwtService",
}


def exception(response: requests.Response) -> tuple[str, str]:
    """The class and the message of an ``//EX``."""
    found = answer(response)
    assert found.status == "EX"
    return found.exception_class, found.string_table[1]


def failed(response: requests.Response) -> bool:
    return response.status_code == 500 and response.text == CALL_FAILED


def test_the_list_is_the_captured_one_byte_for_byte(signed_in: Client) -> None:
    for trunk in signed_in.cabinet.account("shop").enterprise.trunks()[3:]:
        signed_in.cabinet.account("shop").enterprise.remove(trunk.ref)
    expected = capture("list_page3").replace("//OK[237,", "//OK[3,")
    assert signed_in.list().content.decode() == expected


def test_a_page_has_its_size_and_the_total_is_of_all_pages(signed_in: Client) -> None:
    first, second, third = (signed_in.list(page, 2) for page in range(3))
    assert refs(first) == ["CaLztv", "CaLzzS"]
    assert refs(second) == ["CaL0AG", "CaL0H_"]
    assert refs(third) == []
    for page in (first, second, third):
        assert answer(page).tokens[0] == 4


def test_pages_past_the_letter_z_and_two_letters_long_hold_their_trunks(
    client: Client,
) -> None:
    with (
        SimulatedCabinet(make_accounts(trunks=2600)) as cabinet,
        requests.Session() as session,
    ):
        other = replace(client, cabinet=cabinet, http=session)
        account = cabinet.accounts[0]
        other.sign_in(account)
        expected = [trunk.ref for trunk in account.enterprise.trunks()]
        # A to Z are 0 to 25, then comes "a"; 64 is "BA".
        assert refs(other.list(26, 100)) == []
        assert refs(other.list(25, 100)) == expected[2500:]
        assert refs(other.list(26, 40)) == expected[1040:1080]
        assert refs(other.list(64, 40)) == expected[2560:]
        assert refs(other.list(0, 2600)) == expected


def test_the_older_order_of_the_tail_works_too(signed_in: Client) -> None:
    payload = signed_in.list_payload()
    older = payload.replace("|-2|7|0|8|CbwhyN|0|0|8|", "|-2|7|0|0|8|CbwhyN|0|8|")
    assert older != payload
    assert refs(signed_in.call(LIST, older)) == refs(signed_in.list())


@pytest.mark.parametrize("deleted", ["0", "-2", "6|0"])
def test_a_filter_of_null_or_false_shows_all(signed_in: Client, deleted: str) -> None:
    assert len(refs(signed_in.list(deleted=deleted))) == 4


def test_a_filter_of_true_shows_what_is_marked_for_deletion(signed_in: Client) -> None:
    assert refs(signed_in.list(deleted="6|1")) == ["CaLzzS"]


@pytest.mark.parametrize("entry", REQUESTS, ids=lambda entry: entry["payload"][-40:])
def test_captured_requests_are_taken_and_refused_as_googles_decoder_does(
    signed_in: Client, entry: dict[str, Any]
) -> None:
    fields = entry["payload"].split("|")
    path = PATHS[fields[5].rpartition(".")[2]]
    policies = {**captured_deployment().policies, path: fields[4]}
    signed_in.cabinet.deployment = replace(captured_deployment(), policies=policies)
    response = signed_in.call(path, entry["payload"])
    refused_with = entry.get("refused_with")
    if refused_with is None:
        # What is decoded may still meet the application's own refusal: there is no form 31 to show.
        assert answer(response).exception_class != INCOMPATIBLE
    elif refused_with == INCOMPATIBLE:
        assert exception(response) == (INCOMPATIBLE, entry["message"])
    else:
        assert failed(response)


@pytest.mark.parametrize("name", ["policy", "type", "method"])
def test_a_stale_client_is_told_so_as_in_the_captures(signed_in: Client, name: str) -> None:
    request = truth(f"ex_incompatible_{name}")["request"]
    assert signed_in.call(LIST, request).content.decode() == capture(f"ex_incompatible_{name}")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda client: client.list(policy=STALE), "was not assignable to"),
        (lambda client: client.list(signature="1"), "Invalid type signature for"),
        (
            lambda client: client.call(LIST, client.list_payload(method="lijst")),
            "Could not locate requested method 'lijst(",
        ),
        (lambda client: client.form("CaL0H_", 31, policy=STALE), "was not assignable to"),
        (lambda client: client.call(LIST, client.list_payload()[:-1]), "Too few tokens"),
        (lambda client: client.call(LIST, "garbage"), "out of date"),
    ],
)
def test_what_does_not_fit_the_deployment_is_an_incompatible_client(
    signed_in: Client, make: Callable[[Client], requests.Response], message: str
) -> None:
    class_name, text = exception(make(signed_in))
    assert class_name == INCOMPATIBLE
    assert message in text


@pytest.mark.parametrize("payload", ["", "|", "x|0|8|", "7|0|8|", "7|0|0|1|2|3|4|1|5|"])
def test_what_no_client_would_send_is_refused_or_fails(signed_in: Client, payload: str) -> None:
    response = signed_in.call(LIST, payload)
    assert failed(response) or exception(response)[0] == INCOMPATIBLE


def test_a_number_that_is_none_fails(signed_in: Client) -> None:
    # A NumberFormatException, which nobody declares.
    assert failed(signed_in.call(LIST, signed_in.list_payload().replace("7|0|8|", "seven|0|8|")))


def test_a_redeployment_makes_a_working_request_stale(signed_in: Client) -> None:
    payload = signed_in.list_payload()
    assert answer(signed_in.call(LIST, payload)).status == "OK"
    signed_in.cabinet.redeploy()
    assert exception(signed_in.call(LIST, payload))[0] == INCOMPATIBLE
    assert answer(signed_in.list()).status == "OK"


def test_the_selector_works_even_with_a_stale_policy(signed_in: Client) -> None:
    enterprise = signed_in.cabinet.account("shop").enterprise
    response = signed_in.selector("CaL0H_", on=False, policy=STALE)
    assert response.content.decode() == capture("setenabled")
    device = enterprise.find("CaL0H_").device
    assert device is not None
    assert not device.enabled


def test_the_selector_moves_both_ways_and_the_form_shows_it(signed_in: Client) -> None:
    for is_on in (False, True):
        assert answer(signed_in.selector("CaL0H_", on=is_on)).tokens == [1, 1]
        tokens = answer(signed_in.form("CaL0H_", 31)).tokens
        assert tokens[tokens.index("CaL0H_") - 1] == int(is_on)


def test_a_policy_is_not_found_under_another_path_of_the_module(signed_in: Client) -> None:
    payload = signed_in.list_payload().replace("/vpbxGwt/|", "/elsewhere/|")
    assert "was not assignable to" in exception(signed_in.call(LIST, payload))[1]


def test_a_service_that_stands_under_another_path_is_not_called(signed_in: Client) -> None:
    text = exception(signed_in.call("DispatcherGwtService", signed_in.list_payload()))[1]
    assert text.startswith("Blocked attempt to access interface")


def test_a_service_that_nobody_knows_is_not_located(signed_in: Client) -> None:
    payload = signed_in.list_payload().replace("AbonentBrowserGwtService", "Other")
    assert "Could not locate requested interface" in exception(signed_in.call(LIST, payload))[1]


@pytest.mark.parametrize(
    "headers",
    [
        {"X_GWT_Permutation": None},
        {"X_GWT_Permutation": ""},
        {"Content_Type": None},
        {"Content_Type": "text/plain; charset=utf-8"},
        {"Content_Type": "text/x-gwt-rpc"},
        {"Content_Type": "text/x-gwt-rpc; charset=windows-1251"},
    ],
)
def test_a_call_that_looks_forged_fails(signed_in: Client, headers: dict[str, str | None]) -> None:
    assert failed(signed_in.call(LIST, signed_in.list_payload(), **headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"X_GWT_Permutation": STALE},
        {"X_GWT_Module_Base": None},
        {"Content_Type": 'TEXT/X-GWT-RPC; charset="UTF-8"'},
    ],
)
def test_what_googles_server_does_not_look_at_is_not_refused(
    signed_in: Client, headers: dict[str, str | None]
) -> None:
    assert answer(signed_in.call(LIST, signed_in.list_payload(), **headers)).status == "OK"


@pytest.mark.parametrize(("page", "size"), [(-1, 10), (0, 0), (0, -5)])
def test_a_page_that_can_not_be_fails(signed_in: Client, page: int, size: int) -> None:
    assert failed(signed_in.list(page, size))


def test_a_list_without_page_and_size_is_the_first_page(signed_in: Client) -> None:
    payload = signed_in.list_payload().replace("|8|A|8|Bk|0|", "|0|0|0|")
    assert len(refs(signed_in.call(LIST, payload))) == 4


def test_a_list_of_nothing_fails(signed_in: Client) -> None:
    head, parameter_type, _ = signed_in.list_payload().partition("|1|2|3|4|1|5|")
    assert failed(signed_in.call(LIST, f"{head}{parameter_type}0|"))


def test_another_enterprise_is_not_shown(signed_in: Client) -> None:
    for enterprise in ("CbwhyO", "A"):
        assert "ACCESS_DENIED" in exception(signed_in.list(enterprise=enterprise))


def test_the_device_form_answers_for_who_has_a_device_and_who_has_none(signed_in: Client) -> None:
    with_device = answer(signed_in.form("CaL0H_", 31))
    assert "mobsip_9161234570" in with_device.string_table
    without = signed_in.form("CaLztv", 31)
    assert without.content.decode() == capture("getform31_nodevice")


def test_a_mobile_trunk_has_the_other_form(signed_in: Client) -> None:
    assert signed_in.form("CaL0AG", 31).content.decode() == capture("ex_application")
    assert signed_in.form("CaL0AG", 32).content.decode() == capture("getform32")


@pytest.mark.parametrize(("ref", "ordinal"), [("CaL0H_", 32), ("CaL0H_", 5), ("CaL0AG", 33)])
def test_other_forms_do_not_apply(signed_in: Client, ref: str, ordinal: int) -> None:
    assert exception(signed_in.form(ref, ordinal))[1] == "FORM_NOT_APPLICABLE"


def test_a_trunk_that_is_not_there_has_no_form_and_no_selector(signed_in: Client) -> None:
    assert exception(signed_in.form("CaAAAA", 31))[1] == "ABONENT_NOT_FOUND"
    assert exception(signed_in.selector("CaAAAA", on=True))[1] == "ABONENT_NOT_FOUND"


def test_a_trunk_without_a_device_has_no_selector(signed_in: Client) -> None:
    assert exception(signed_in.selector("CaLztv", on=True))[1] == "DEVICE_NOT_FOUND"


@pytest.mark.parametrize("tail", ["0|6|31|", "5|CaL0H_|0|"])
def test_a_form_of_nothing_fails(signed_in: Client, tail: str) -> None:
    dispatcher = signed_in.cabinet.deployment.signature(
        "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER"
    )
    payload = (
        f"7|0|6|{signed_in.cabinet.url}/vpbxGwt/"
        f"|{signed_in.cabinet.deployment.policies['DispatcherGwtService']}"
        "|ru.cti.vpbx.shared.services.DispatcherService|getForm|java.lang.Long/4227064769"
        f"|{dispatcher}|1|2|3|4|2|5|6|{tail}"
    )
    assert failed(signed_in.call("DispatcherGwtService", payload))


def test_a_selector_moved_to_nowhere_fails(signed_in: Client) -> None:
    payload = (
        f"7|0|6|{signed_in.cabinet.url}/vpbxGwt/|{STALE}"
        "|ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService|setEnabled"
        "|java.lang.Long/4227064769|java.lang.Boolean/476441737|1|2|3|4|2|5|6|5|CaL0H_|0|"
    )
    assert failed(signed_in.call("AbonentDeviceFormGwtService", payload))


@pytest.mark.parametrize(
    "name",
    [
        "list_page3",
        "list_page3_dq",
        "list_page100",
        "list_last_short",
        "list_empty",
        "list_escapes",
        "list_escapes_dq",
        "list_longstring",
        "list_longstring_dq",
        "list_chunked",
        "list_shared_boolean",
    ],
)
def test_a_page_of_the_list_is_the_captured_one_byte_for_byte(name: str) -> None:
    deployment = captured_deployment(
        dq=name.endswith("_dq"), kind="e" if name == "list_shared_boolean" else "a"
    )
    total = truth(name)["total"]
    page = list_page(deployment, ENTERPRISE, captured_trunks(name), total)
    assert deployment.write(page) == capture(name)


@pytest.mark.parametrize(
    "name", ["getform31", "getform31_disabled", "getform31_dq", "getform31_nodevice", "getform32"]
)
def test_a_form_is_the_captured_one_byte_for_byte(name: str) -> None:
    deployment = captured_deployment(dq=name.endswith("_dq"))
    assert deployment.write(form(ENTERPRISE, captured_form(name))) == capture(name)


def test_the_applications_exception_is_the_captured_one_byte_for_byte() -> None:
    _, code, message = truth("ex_application")["string_table"]
    error = Object(APPLICATION_ERROR, (code, message, message))
    assert captured_deployment().write(error) == capture("ex_application")


def test_the_answer_to_the_selector_is_the_captured_one_byte_for_byte() -> None:
    assert captured_deployment().write(Object(BOOLEAN, (True,))) == capture("setenabled")


@pytest.mark.parametrize(
    "name",
    [
        "ex_incompatible_method",
        "ex_incompatible_method_dq",
        "ex_incompatible_policy",
        "ex_incompatible_type",
    ],
)
def test_an_incompatible_client_is_told_so_as_in_the_captures(name: str) -> None:
    deployment = captured_deployment(dq=name.endswith("_dq"))
    error = Object(INCOMPATIBLE, (truth(name)["message"],))
    assert deployment.write(error) == capture(name)


@pytest.mark.parametrize("column", sorted(COLUMNS.keys() - {*USUAL.before, *USUAL.after}))
def test_an_extra_column_leaves_the_twelve_values_as_they_are(column: str) -> None:
    deployment = replace(
        captured_deployment(), before=(*USUAL.before, column), after=(column, *USUAL.after)
    )
    trunks = captured_trunks("list_page3")
    plain, response = (
        decode(one.write(list_page(one, ENTERPRISE, trunks, 237)))
        for one in (captured_deployment(), deployment)
    )
    assert len(response.tokens) >= len(plain.tokens) + 2 * len(trunks)
    for trunk in trunks:
        at = response.tokens.index(trunk.ref)
        boxed = response.string_table.index("java.lang.Boolean/476441737") + 1
        assert response.tokens[at + 4 : at + 13] == [
            int(trunk.state.active),
            boxed,
            int(trunk.state.bound),
            int(trunk.state.marked_for_deletion),
            0,
            int(trunk.state.off),
            0,
            0,
            0,
        ]


def test_columns_can_stand_in_another_order() -> None:
    deployment = replace(
        captured_deployment(), before=("phone", "note", "name"), after=("department", "created")
    )
    page = list_page(deployment, ENTERPRISE, captured_trunks("list_page3")[:1], 1)
    response = decode(deployment.write(page))
    # Strings enter the table as they are met.
    assert [text for text in response.string_table if "/" not in text] == [
        "79161234570",
        "Соколова Эльдар",
        "Служба доставки",
    ]
