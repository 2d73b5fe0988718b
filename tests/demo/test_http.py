"""What a request holds, by the rules of URLs, forms and cookies."""

from __future__ import annotations

import json

import pytest

from vats_exporter.demo.http import HttpRequest, as_json, redirect

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}


def test_a_request_tells_its_path_from_its_query() -> None:
    request = HttpRequest("GET", "/a%20b?x=1&y=&x=2", {})
    assert request.path == "/a%20b"
    assert [request.query(name) for name in "xyz"] == ["1", "", None]


def test_a_forms_fields_are_decoded() -> None:
    request = HttpRequest("POST", "/", FORM, "p=%2B7+a%26b&ü=%C3%A4".encode())
    assert [request.form(name) for name in ("p", "ü", "q")] == ["+7 a&b", "ä", None]


def test_a_body_of_another_kind_is_no_form() -> None:
    assert HttpRequest("POST", "/", {"Content-Type": "text/plain"}, b"p=1").form("p") is None


@pytest.mark.parametrize(("header", "found"), [("a=1; b=2=3", "2=3"), ("bb=1", None), ("", None)])
def test_a_cookie_is_found_by_its_whole_name(header: str, found: str | None) -> None:
    assert HttpRequest("GET", "/", {"Cookie": header}).cookie("b") == found


def test_an_answer_of_json_is_for_people_too() -> None:
    answer = as_json({"name": "Щёлочь"}, status=404)
    assert (answer.status, dict(answer.headers)) == (
        404,
        {"Content-Type": "application/json; charset=utf-8"},
    )
    assert isinstance(answer.body, bytes)
    assert "Щёлочь" in answer.body.decode()
    assert json.loads(answer.body) == {"name": "Щёлочь"}


def test_a_redirect_says_where_to_go() -> None:
    answer = redirect("/login", ("Set-Cookie", "a=1"))
    assert (answer.status, answer.headers) == (302, (("Location", "/login"), ("Set-Cookie", "a=1")))
