"""Answers against the captures, which Google's own server code wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.demo.captures import (
    capture,
    captured_deployment,
    captured_form,
    captured_trunks,
    truth,
)
from vats_exporter.demo import Deployment, RowLayout
from vats_exporter.demo.deployment import BOOLEAN, EXTRA_COLUMNS, Object
from vats_exporter.demo.wire import (
    application_error,
    device_form_answer,
    incompatible,
    list_answer,
    mobile_form_answer,
    write_answer,
)
from vats_exporter.gwt import decode

ENTERPRISE = 2613189773


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
        dq=name.endswith("_dq"), shared_booleans=name == "list_shared_boolean"
    )
    total = truth(name)["total"]
    assert list_answer(deployment, ENTERPRISE, captured_trunks(name), total) == capture(name)


@pytest.mark.parametrize(
    "name", ["getform31", "getform31_disabled", "getform31_dq", "getform31_nodevice"]
)
def test_the_device_form_is_the_captured_one_byte_for_byte(name: str) -> None:
    deployment = captured_deployment(dq=name.endswith("_dq"))
    assert device_form_answer(deployment, ENTERPRISE, captured_form(name)) == capture(name)


def test_the_mobile_form_is_the_captured_one_byte_for_byte() -> None:
    form = captured_form("getform32")
    assert mobile_form_answer(captured_deployment(), ENTERPRISE, form) == capture("getform32")


def test_the_applications_exception_is_the_captured_one_byte_for_byte() -> None:
    _, code, message = truth("ex_application")["string_table"]
    assert application_error(captured_deployment(), code, message) == capture("ex_application")


def test_the_answer_to_the_selector_is_the_captured_one_byte_for_byte() -> None:
    assert write_answer(captured_deployment(), Object(BOOLEAN, (True,))) == capture("setenabled")


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
    assert incompatible(deployment, truth(name)["message"]) == capture(name)


@pytest.mark.parametrize("column", sorted(EXTRA_COLUMNS))
def test_an_extra_column_leaves_the_twelve_values_as_they_are(column: str) -> None:
    usual = RowLayout()
    layout = RowLayout(before=(*usual.before, column), after=(column, *usual.after))
    captured = captured_deployment()
    signatures = {**Deployment.make().signatures, **captured.signatures}
    deployment = replace(captured, layout=layout, signatures=signatures)
    trunks = captured_trunks("list_page3")
    plain = decode(list_answer(captured_deployment(), ENTERPRISE, trunks, 237))
    response = decode(list_answer(deployment, ENTERPRISE, trunks, 237))
    assert len(response.tokens) >= len(plain.tokens) + 2 * len(trunks)
    for trunk in trunks:
        at = response.tokens.index(trunk.ref)
        boxed = response.string_table.index("java.lang.Boolean/476441737") + 1
        assert response.tokens[at + 4 : at + 13] == [
            int(trunk.state.active),
            boxed,
            int(trunk.state.bound),
            int(trunk.state.marked),
            0,
            int(trunk.state.off),
            0,
            0,
            0,
        ]


def test_columns_can_stand_in_another_order() -> None:
    layout = RowLayout(before=("phone", "note", "name"), after=("department", "created"))
    deployment = replace(captured_deployment(), layout=layout)
    response = decode(list_answer(deployment, ENTERPRISE, captured_trunks("list_page3")[:1], 1))
    # Strings enter the table as they are met.
    assert [text for text in response.string_table if "/" not in text] == [
        "79161234570",
        "Соколова Эльдар",
        "Служба доставки",
    ]
