"""Requests and answers as values."""

from __future__ import annotations

import pytest

from vats_exporter.web.messages import JSON, Request, say, text


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("account=office", "office"),
        ("account=%D0%9E%D1%84%D0%B8%D1%81+1", "Офис 1"),
        ("account=Офис%20%E2%84%961", "Офис №1"),
        ("debug=true&account=first&account=second", "first"),
        ("account=", ""),
        ("accounts=office", None),
        ("", None),
    ],
)
def test_a_parameter_is_the_first_of_its_name_decoded(query: str, value: str | None) -> None:
    assert Request("GET", "/probe", query).parameter("account") == value


def test_saying_something_is_one_line_of_text() -> None:
    response = say(405, "Нет.", ("Allow", "GET"))
    assert (response.status, b"".join(response.chunks).decode()) == (405, "Нет.\n")
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.headers == (("Allow", "GET"),)
    assert response.length == len("Нет.\n".encode())


def test_a_text_that_no_encoding_holds_is_sent_as_far_as_it_can_be() -> None:
    response = text(200, '"\ud800"', JSON)
    assert b"".join(response.chunks) == b'"?"'
    assert (response.content_type, response.length) == (JSON, 3)
