import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.gwt import GwtError, Request, RequestError, build_request, parse_request

WIRE = Path(__file__).parent.parent / "wire"
INCOMPATIBLE = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"
RECORDED: list[dict[str, Any]] = json.loads((WIRE / "requests.json").read_text("utf-8"))["requests"]
WHOLE = [request["payload"] for request in RECORDED if request["payload"].endswith("|")]


@pytest.mark.parametrize("payload", WHOLE)
def test_a_recorded_request_is_taken_apart_and_put_together_again(payload: str) -> None:
    request = parse_request(payload)
    assert (request.version, request.flags) == (7, 0)
    assert build_request(request.strings, request.tokens) == payload


def test_strings_are_escaped_as_google_reads_them() -> None:
    text = build_request(["a|b", "c\\!", "\0", ""], [1, "CaLztv", -2])
    assert text == "7|0|4|a\\!b|c\\\\!|\\0||1|CaLztv|-2|"
    assert parse_request(text).strings == ("a|b", "c\\!", "\0", "")


def test_an_escaped_code_unit_is_read() -> None:
    request = parse_request("7|0|2|\\u0416\\u007C|\\uD83D\\uDCDE|")
    assert request.strings == ("Ж|", "\U0001f4de")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(), max_size=6),
    st.lists(st.integers(-9, 9).map(str) | st.just("CaL$_A"), max_size=6),
    st.integers(5, 7),
    st.integers(0, 3),
)
def test_what_is_built_is_parsed_back(
    strings: list[str], tokens: list[str], version: int, flags: int
) -> None:
    text = build_request(strings, tokens, version=version, flags=flags)
    assert parse_request(text) == Request(version, flags, tuple(strings), tuple(tokens))


@pytest.mark.parametrize("token", ["", "a|b"])
def test_a_token_that_would_be_read_as_something_else_is_not_built(token: str) -> None:
    with pytest.raises(ValueError, match=r"^a token is empty or holds a separator$"):
        build_request([], [token])


def test_what_follows_the_last_separator_is_not_a_token() -> None:
    assert parse_request("7|0|1|a|1|2|3").tokens == ("1", "2")


@pytest.mark.parametrize(
    ("text", "class_name", "message"),
    [
        ("", "java.lang.IllegalArgumentException", "encodedRequest cannot be empty"),
        (
            "nonsense",
            INCOMPATIBLE,
            "( Malformed or old RPC message received - expecting version between 5 and 7 )",
        ),
        ("4", INCOMPATIBLE, "( Expecting version between 5 and 7 from client, got 4. )"),
        ("4|0|0|", INCOMPATIBLE, "Expecting version between 5 and 7 from client, got 4."),
        ("8|0|0|", INCOMPATIBLE, "Expecting version between 5 and 7 from client, got 8."),
        ("7|4|0|", INCOMPATIBLE, "Got an unknown flag from client: 4"),
        ("7|-1|0|", INCOMPATIBLE, "Got an unknown flag from client: -1"),
        ("7|", INCOMPATIBLE, "Too few tokens in RPC request"),
        ("7|0|2|a|", INCOMPATIBLE, "Too few tokens in RPC request"),
        ("7|0|1|a\\|", INCOMPATIBLE, 'Unmatched backslash: "a\\"'),
        ("7|0|1|\\n|", INCOMPATIBLE, "Unexpected escape character n after backslash"),
        ("7|0|1|\\u12|", INCOMPATIBLE, "Invalid Unicode escape sequence"),
        ("7|x|0|", "java.lang.NumberFormatException", "received x"),
        ("7|1.5|0|", "java.lang.NumberFormatException", "received 1.5"),
        ("7|NaN|0|", "java.lang.NumberFormatException", "received NaN"),
        ("7|0|2147483648|", "java.lang.NumberFormatException", "received 2147483648"),
        ("7|-2147483649|0|", "java.lang.NumberFormatException", "received -2147483649"),
        ("7|3.0|0|", "java.lang.NumberFormatException", "received 3.0"),
        ("7|0|9999999999999|", "java.lang.NumberFormatException", "received 9999999999999"),
    ],
)
def test_a_faulty_request_meets_the_exception_of_google_s_server(
    text: str, class_name: str, message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(text)
    assert caught.value.class_name == class_name
    assert message in str(caught.value)


def test_the_smallest_int_is_read() -> None:
    # A count below none is none, as for Google's reader.
    assert parse_request("7|0|-2147483648|1|").tokens == ("1",)


def test_half_of_a_pair_stays_half() -> None:
    assert parse_request("7|0|2|\\uD83D|\\uDCDEa|").strings == ("\ud83d", "\udcdea")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="|0123457\\!uaAé-.", max_size=40))
def test_any_text_is_a_request_or_a_protocol_error(text: str) -> None:
    try:
        request = parse_request(text)
    except GwtError:
        return
    rebuilt = build_request(
        request.strings,
        [token or "0" for token in request.tokens],
        version=request.version,
        flags=request.flags,
    )
    assert parse_request(rebuilt).strings == request.strings
