"""Requests and answers, as bytes and as values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.web.messages import (
    MAX_HEADERS,
    BadRequestError,
    Response,
    parse_request,
    say,
)


def test_a_scrape_of_prometheus_is_read() -> None:
    request = parse_request(
        b"GET /metrics?a=1&b= HTTP/1.1\r\n"
        b"Host: localhost:9742\r\n"
        b"User-Agent: Prometheus/2.42.0\r\n"
        b"Accept: text/plain;version=0.0.4\r\n"
        b"X-Prometheus-Scrape-Timeout-Seconds: \t10 "
    )
    assert (request.method, request.path, request.query) == ("GET", "/metrics", "a=1&b=")
    assert request.headers["x-prometheus-scrape-timeout-seconds"] == "10"
    assert request.keep_alive
    assert (request.parameter("a"), request.parameter("b"), request.parameter("c")) == (
        "1",
        "",
        None,
    )


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Офис №1", "Офис №1"),
        ("%D0%9E%D1%84%D0%B8%D1%81", "Офис"),
        ("Офис%20%E2%84%961", "Офис №1"),
    ],
)
def test_a_parameter_may_be_written_in_utf8_or_with_percent_signs(written: str, name: str) -> None:
    target = f"/probe?account={written}".replace(" ", "+")
    request = parse_request(f"GET {target} HTTP/1.1\r\nHost: x".encode())
    assert (request.path, request.parameter("account")) == ("/probe", name)


def test_a_parameter_of_no_encoding_is_read_as_far_as_it_can_be() -> None:
    request = parse_request(b"GET /probe?account=\xce\xf4\xe8\xf1 HTTP/1.1\r\nHost: x")
    assert request.parameter("account") == "\ufffd" * 4


def test_headers_that_come_twice_are_joined() -> None:
    request = parse_request(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: a\r\naccept: b")
    assert request.headers["accept"] == "a, b"


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: x", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, Close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0", True),
        # A body is not read, so nothing may follow it.
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5", False),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5", False),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked", False),
    ],
)
def test_the_connection_lasts_where_http_says_so(head: bytes, keep_alive: bool) -> None:
    assert parse_request(head).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/metrics#top", "/metrics", ""),
        ("http://exporter:9742/metrics?x=1", "/metrics", "x=1"),
        ("http://exporter:9742", "/", ""),
        ("*", "*", ""),
    ],
)
def test_targets_are_reduced_to_path_and_query(target: str, path: str, query: str) -> None:
    request = parse_request(f"GET {target} HTTP/1.1\r\nHost: x".encode())
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 \r\nHost: x", 400),
        (b"GET / FTP/1.1\r\nHost: x", 400),
        (b"G\x00T / HTTP/1.1\r\nHost: x", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"GET metrics HTTP/1.1\r\nHost: x", 400),
        (b"GET ftp://x/ HTTP/1.1\r\nHost: x", 400),
        (b"GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nHost", 400),
        (b"GET / HTTP/1.1\r\nHost : x", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded", 400),
        (b"GET / HTTP/1.1\r\nHost: x\nEvil: y", 400),
        (b"GET / HTTP/1.1\r\nHost: x\ry", 400),
        (b"GET / HTTP/2.0\r\nHost: x", 505),
        (b"GET / HTTP/0.9\r\nHost: x", 505),
        (b"GET / HTTP/1.1\r\nHost: x" + b"\r\nA: b" * MAX_HEADERS, 431),
    ],
)
def test_what_is_no_request_is_refused_with_a_status(head: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_request(head)
    assert caught.value.status == status
    assert caught.value.sentence.endswith(".")


@given(
    st.binary(max_size=200) | st.binary(max_size=60).map(b"GET / HTTP/1.1\r\nHost: x\r\n".__add__)
)
def test_any_bytes_are_a_request_or_a_bad_request(head: bytes) -> None:
    with contextlib.suppress(BadRequestError):
        assert parse_request(head).method


def test_an_answers_head_tells_its_body() -> None:
    response = Response(200, (b"abc", b"de"), "text/html", (("Vary", "Accept"),))
    assert response.head("Tue, 24 Nov 2026 04:12:26 GMT", close=False) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Tue, 24 Nov 2026 04:12:26 GMT\r\n"
        b"Content-Type: text/html\r\n"
        b"Content-Length: 5\r\n"
        b"Vary: Accept\r\n"
        b"\r\n"
    )


def test_a_last_answer_says_that_it_is_the_last() -> None:
    assert b"\r\nConnection: close\r\n" in say(404, "No.").head("now", close=True)
    assert b"Connection" not in say(404, "No.").head("now", close=False)


def test_saying_something_is_one_line_of_text() -> None:
    response = say(405, "Нет.", ("Allow", "GET"))
    assert (response.status, b"".join(response.chunks).decode()) == (405, "Нет.\n")
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.headers == (("Allow", "GET"),)
