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
    LIST_TAILS,
    TrunkDetails,
    choose_list_tail,
    details_request,
    list_request,
    read_device_form,
    read_mobile_form,
    selector_method,
    selector_request,
    validate_list_tail,
)
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.gwt import Field, Kind, Repeat, Response, decode, encode_long, parse_request
from vats_exporter.gwt.script import Method

WIRE = Path(__file__).parents[1] / "wire"
REQUESTS: list[dict[str, Any]] = json.loads((WIRE / "requests.json").read_text(encoding="utf-8"))[
    "requests"
]
OBSERVED_TAIL = LIST_TAILS[0]
SHORTER_TAIL = "{filter}|7|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|"
OLDER_TAIL = "|{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|"


def read_by_google(ending: str) -> str:
    """The captured request that ends so, and that Google's server could read."""
    return next(
        str(request["payload"])
        for request in REQUESTS
        if request["payload"].endswith(ending) and "refused_with" not in request
    )


def strings_of(payload: str) -> tuple[str, ...]:
    """What a request begins with."""
    return parse_request(payload).strings


def fill_in(request: str, *, enterprise: str, page: int) -> str:
    """The list request for one page."""
    return request.replace("{enterprise}", enterprise).replace("{page}", encode_long(page))


@pytest.mark.parametrize(
    ("tail", "row_filter", "page", "page_size", "ending"),
    [
        (OBSERVED_TAIL, -2, 0, 100, "|0|0|-2|7|0|8|CbwhyN|0|0|8|A|8|Bk|0|"),
        (OBSERVED_TAIL, 0, 0, 100, "|0|0|0|7|0|8|CbwhyN|0|0|8|A|8|Bk|0|"),
        (OBSERVED_TAIL, -2, 1, 10, "|0|0|-2|7|0|8|CbwhyN|0|0|8|B|8|K|0|"),
        (OLDER_TAIL, -2, 0, 100, "|0|0|-2|7|0|0|8|CbwhyN|0|8|A|8|Bk|0|"),
        (OLDER_TAIL.removeprefix("|"), -2, 0, 100, "|0|0|-2|7|0|0|8|CbwhyN|0|8|A|8|Bk|0|"),
    ],
)
def test_the_list_request_is_the_observed_one(
    tail: str, row_filter: int, page: int, page_size: int, ending: str
) -> None:
    observed = read_by_google(ending)
    strings = strings_of(observed)
    built = list_request(strings, tail, row_filter=row_filter, page_size=page_size)
    assert fill_in(built, enterprise="CbwhyN", page=page) == observed


@pytest.mark.parametrize("form", [31, 32])
def test_the_details_request_is_the_observed_one(form: int) -> None:
    observed = read_by_google(f"|5|CaLztv|6|{form}|")
    strings = strings_of(observed)
    assert details_request(strings, trunk="CaLztv", form=form) == observed


# -- the selector

BASE = "https://vpbx.mts.ru/vpbxGwt/"
LONG, BOOLEAN = "java.lang.Long/4227064769", "java.lang.Boolean/476441737"
DEVICES = "ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService"


@pytest.mark.parametrize("enabled", [True, False])
def test_the_selector_request_is_as_described(enabled: bool) -> None:
    observed = read_by_google(f"|5|CaLztv|6|{int(enabled)}|")
    base, policy, *_ = strings_of(observed)
    method = Method(DEVICES, "setEnabled", (LONG, BOOLEAN))
    assert selector_request(base, policy, method, trunk="CaLztv", enabled=enabled) == observed


@pytest.mark.parametrize(
    ("parameters", "ending"),
    [
        ((LONG, BOOLEAN), f"|m|{LONG}|{BOOLEAN}|1|2|3|4|2|5|6|5|CaLztv|6|1|"),
        ((BOOLEAN, LONG), f"|m|{BOOLEAN}|{LONG}|1|2|3|4|2|5|6|5|1|6|CaLztv|"),
        (("J", "Z"), "|m|J|Z|1|2|3|4|2|5|6|CaLztv|1|"),
        ((LONG, "Z"), f"|m|{LONG}|Z|1|2|3|4|2|5|6|5|CaLztv|1|"),
    ],
)
def test_parameters_are_written_as_the_method_has_them(
    parameters: tuple[str, ...], ending: str
) -> None:
    method = Method(DEVICES, "m", parameters)
    built = selector_request(BASE, "0" * 32, method, trunk="CaLztv", enabled=True)
    assert built.endswith(ending)
    parse_request(built)


def test_the_selectors_method_is_the_only_one_of_its_kind_in_the_script() -> None:
    methods = [
        Method(DEVICES, "rename", (LONG, "java.lang.String/2004016611")),
        Method("ru.cti.vpbx.shared.services.OtherService", "setBlocked", (LONG, BOOLEAN)),
        Method(DEVICES.replace("GwtService", "Service"), "turn", (LONG, "Z")),
    ]
    assert selector_method(methods, None) is methods[2]
    assert selector_method(methods, "rename") is methods[0]


def test_a_configured_method_that_the_script_does_not_tell_has_the_users_parameters() -> None:
    assert selector_method([], "setEnabled") == Method(DEVICES, "setEnabled", (LONG, BOOLEAN))


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ([], "does not tell the name of its method; selector_method sets it"),
        ([Method(DEVICES, "find", (LONG,))], "does not tell"),
        (
            [Method(DEVICES, "b", (LONG, "Z")), Method(DEVICES, "a", ("J", BOOLEAN))],
            r"several methods of its kind \(a, b\); selector_method",
        ),
    ],
)
def test_a_method_is_not_guessed(methods: list[Method], says: str) -> None:
    with pytest.raises(UndecodableError, match=says):
        selector_method(methods, None)


# -- the list request's tail

OBJECT, STRING, NUMBER, FLAG, NUMBER64 = (
    Kind.OBJECT,
    Kind.STRING,
    Kind.NUMBER,
    Kind.BOOLEAN,
    Kind.LONG,
)
OBSERVED = (STRING, OBJECT, STRING, *[OBJECT] * 8)


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        (None, OBSERVED_TAIL),
        (OBSERVED, OBSERVED_TAIL),
        ((*OBSERVED, Repeat((NUMBER,))), OBSERVED_TAIL),
        # Where the enterprise stands sixth there is a string in its place in the other tail.
        ((*OBSERVED[:5], STRING, OBJECT, STRING, OBJECT, OBJECT, OBJECT), OLDER_TAIL[1:]),
        ((STRING, OBJECT, STRING, *[OBJECT] * 7), SHORTER_TAIL),
    ],
)
def test_of_the_documented_tails_the_one_that_fits_is_chosen(
    fields: tuple[Field, ...] | None, chosen: str
) -> None:
    assert choose_list_tail(OBSERVED_TAIL, -2, fields) == (chosen, "")


@pytest.mark.parametrize(
    ("tail", "fields", "fits"),
    [
        (OLDER_TAIL, OBSERVED, True),
        (SHORTER_TAIL, OBSERVED, False),
        ("{filter}|7|0|8|{page}|8|{page_size}|", (STRING, OBJECT, STRING, *[OBJECT] * 4), True),
        ("0|{page}|{page_size}|", (STRING, OBJECT, STRING, FLAG, NUMBER64, NUMBER64), True),
        ("2|{page}|{page_size}|", (STRING, OBJECT, STRING, FLAG, NUMBER64, NUMBER64), False),
        ("-9|{page}|{page_size}|", (STRING, OBJECT, STRING, NUMBER, NUMBER64, NUMBER64), True),
        ("-3|{page}|{page_size}|", (STRING, OBJECT, STRING, OBJECT, NUMBER64, NUMBER64), True),
        ("-3|{page}|{page_size}|", (STRING, OBJECT, STRING, STRING, NUMBER64, NUMBER64), False),
        ("{filter}|8|", (STRING, OBJECT, STRING, OBJECT, OBJECT), False),
    ],
)
def test_a_configured_tail_that_does_not_fit_says_how_the_class_looks(
    tail: str, fields: tuple[Field, ...], fits: bool
) -> None:
    used, misfit = choose_list_tail(tail, -2, fields)
    assert used == tail
    assert (misfit == "") == fits
    if not fits:
        kinds = ", ".join(str(kind.value) for kind in fields if isinstance(kind, Kind))
        assert f"AbonentBrowserRequestGWTModel: the client writes {len(fields)} values" in misfit
        assert f"({kinds})" in misfit


def test_a_request_that_google_refuses_may_fit_all_the_same() -> None:
    # -1 is the request itself: the server's answer to it is reported.
    assert choose_list_tail(OBSERVED_TAIL, -1, OBSERVED) == (OBSERVED_TAIL, "")


@pytest.mark.parametrize(
    "tail", [OBSERVED_TAIL, OLDER_TAIL, "6|1|7|0|8|CbwhyN|{page}|{page_size}|"]
)
def test_tails_that_were_seen_are_accepted(tail: str) -> None:
    validate_list_tail(tail)


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (OBSERVED_TAIL.removesuffix("|"), 'end with "|"'),
        ("", 'end with "|"'),
        ("|", "missing"),
        (OBSERVED_TAIL.replace("{page}", "A"), r"\{page\} is missing"),
        (OBSERVED_TAIL.replace("{page_size}", "Bk"), r"\{page_size\} is missing"),
        (
            OBSERVED_TAIL.replace("{filter}", "{flter}"),
            r"value 1 is neither a number, a reference nor one of \{filter\}, \{enterprise\},",
        ),
        (OBSERVED_TAIL.replace("{page_size}", "{page size}"), "value 11 is neither"),
        (OBSERVED_TAIL.replace("{page}", "x{page}"), "value 9 is neither"),
        (OBSERVED_TAIL.replace("{page}", "{page}{page}"), "value 9 is neither"),
        (OBSERVED_TAIL.replace("7|0", "7||0"), "value 3 is neither"),
        (OBSERVED_TAIL.replace("7|0", "7|a b"), "value 3 is neither"),
        (OBSERVED_TAIL.replace("7|0", "7|\\!"), "value 3 is neither"),
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
        strings = strings_of(read_by_google("|A|8|Bk|0|"))
        built = list_request(strings, tail, row_filter=0, page_size=10)
        body = fill_in(built, enterprise="A", page=1)
        assert parse_request(body).tokens[-2:] == ("B", "K")


# -- the forms


def capture(name: str) -> tuple[Response, dict[str, Any]]:
    truth: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return decode((WIRE / f"{name}.txt").read_bytes()), truth


@pytest.mark.parametrize("name", ["getform31", "getform31_disabled", "getform31_dq"])
def test_a_device_form_reads_as_its_truth(name: str) -> None:
    response, truth = capture(name)
    details = read_device_form(response, truth["abonent_b64"])
    expected = truth["device"]
    assert (
        details.device,
        details.enabled,
        details.line,
        details.sip_login,
        details.sip_password,
    ) == (
        expected["device_b64"],
        expected["enabled"],
        expected["sip_line"],
        expected["sip_login"],
        expected["sip_password_invented"],
    )
    assert details.phone == "7" + expected["sip_login"].split("_")[1]


def test_a_trunk_without_a_device_has_none() -> None:
    response, truth = capture("getform31_nodevice")
    assert truth["device"] is None
    details = read_device_form(response, truth["abonent_b64"])
    assert details == TrunkDetails()
    assert details.enabled is None


def test_the_mobile_form_tells_the_phone() -> None:
    response, _ = capture("getform32")
    assert read_mobile_form(response).phone == "79161234650"


def test_a_record_of_another_trunk_is_refused() -> None:
    response, truth = capture("getform31")
    with pytest.raises(UndecodableError, match="of CaAAAA: the record is of another") as raised:
        read_device_form(response, "CaAAAA")
    assert truth["abonent_b64"] not in str(raised.value)


def test_a_record_that_begins_otherwise_is_refused_with_its_place() -> None:
    response, truth = capture("getform31")
    tokens = list(response.tokens)
    # Reading order is from the end: class, trunk's class, trunk, then the selector.
    tokens[-7] = 5
    with pytest.raises(UndecodableError, match="selector is neither 0 nor 1, token 7 from the end"):
        read_device_form(Response("OK", 7, 0, response.string_table, tokens), truth["abonent_b64"])


def test_a_device_that_is_null_means_no_device() -> None:
    response, truth = capture("getform31")
    tokens = list(response.tokens)
    at = tokens.index(truth["device"]["device_b64"])
    tokens[at : at + 2] = [0]
    details = read_device_form(
        Response("OK", 7, 0, response.string_table, tokens), truth["abonent_b64"]
    )
    assert details == TrunkDetails("79161234570")


def test_credentials_are_not_in_the_repr() -> None:
    response, truth = capture("getform31")
    shown = repr(read_device_form(response, truth["abonent_b64"]))
    assert truth["device"]["sip_password_invented"] not in shown
    assert truth["device"]["sip_login"] not in shown


@given(
    st.lists(
        st.one_of(st.integers(-5, 14), st.sampled_from(["CaLztv", "A"]), st.floats()), max_size=30
    )
)
def test_any_tokens_give_details_or_one_error(tokens: list[int | float | str]) -> None:
    table = capture("getform31")[0].string_table
    response = Response("OK", 7, 0, table, tokens)
    try:
        read_device_form(response, "CaLztv")
        read_mobile_form(response)
    except UndecodableError:
        pass
