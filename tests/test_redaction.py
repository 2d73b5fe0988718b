"""Secrets in a text: replaced in whatever form they stand there."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.redaction import describe_unexpected, redact, register_secrets

SECRET = "p|ss wörd+/\"'\\<&>"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"+7-9161234567:{SECRET}".encode()).decode(),
        SECRET.replace("\\", "\\\\").replace("|", "\\!"),
    ],
)
def test_a_registered_secret_is_replaced_in_every_form(form: str) -> None:
    register_secrets(SECRET)
    text = redact(f"before {form} after")
    assert "***" in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    # Of base 64 a few characters at the ends depend on the neighbours, and may stay.
    assert len(text) <= len("before  after") + 30


def test_what_looks_like_a_secret_is_replaced_though_never_registered() -> None:
    texts = {
        "/gwt/;jsessionid=0A1B2C?x=1": "/gwt/;jsessionid=***",
        "Cookie: JSESSIONID=0A1B; a=b": "Cookie: ***; a=b",
        "j_username=a&j_password=b": "j_username=a&j_password=***",
        "Authorization: Basic abc=": "Authorization: Basic ***",
        "login sip_9161234567_ab1c.": "login ***.",
    }
    assert {text: redact(text) for text in texts} == texts


def test_a_short_secret_is_replaced_only_where_it_stands_alone() -> None:
    register_secrets("an")
    assert redact("an answer, can(an)") == "*** answer, can(***)"


def test_an_empty_secret_is_no_secret() -> None:
    register_secrets("")
    assert redact("text") == "text"


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(), min_size=4, max_size=12), st.text(max_size=20))
def test_no_registered_secret_is_in_a_line(secret: str, around: str) -> None:
    register_secrets(secret)
    assert secret not in redact(around + secret + around).replace("***", "\0")


def test_secrets_of_an_owner_take_the_place_of_its_earlier_ones() -> None:
    register_secrets("pass-word", "other-one")
    register_secrets("cookie-1", owner="office")
    register_secrets("cookie-2", owner="office")
    register_secrets("third-one")
    text = "pass-word other-one third-one cookie-1 cookie-2"
    assert redact(text) == "*** *** *** cookie-1 ***"


def test_an_exception_is_told_by_the_line_that_raised_it() -> None:
    def fail() -> None:
        raise ValueError("geheim")

    with pytest.raises(ValueError, match="geheim") as caught:
        fail()
    line = fail.__code__.co_firstlineno + 1
    assert describe_unexpected(caught.value) == f"unexpected ValueError at test_redaction.py:{line}"


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert describe_unexpected(ValueError("geheim")) == "unexpected ValueError"
