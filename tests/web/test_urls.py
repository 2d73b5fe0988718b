"""Paths and URLs as they are given on the command line."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from vats_exporter.web import urls


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("/vats", "/vats"),
        ("vats/", "/vats"),
        ("/a/b/", "/a/b"),
    ],
)
def test_a_prefix_has_a_slash_before_it_and_none_after_it(text: str, prefix: str) -> None:
    assert urls.parse_prefix(text) == prefix


@pytest.mark.parametrize("text", ["/a//b", "/a?b", "/a b", "/а", "/a/#"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a path such as"):
        urls.parse_prefix(text)
    with pytest.raises(ValueError, match="must be a path such as"):
        urls.parse_metrics_path(text)


def test_the_metrics_may_be_anywhere_but_where_another_page_is() -> None:
    assert urls.parse_metrics_path("/internal/metrics") == "/internal/metrics"
    for taken in ("/", "/probe", "/-/healthy"):
        with pytest.raises(ValueError, match=r"must be a path|path of another page"):
            urls.parse_metrics_path(taken)


@pytest.mark.parametrize(
    ("text", "url", "path"),
    [
        ("https://example.org", "https://example.org", ""),
        ("http://example.org:8080/", "http://example.org:8080", ""),
        ("https://example.org/vats/", "https://example.org/vats", "/vats"),
        ("https://[2001:db8::1]/a/b", "https://[2001:db8::1]/a/b", "/a/b"),
    ],
)
def test_an_external_url_ends_without_a_slash(text: str, url: str, path: str) -> None:
    assert urls.parse_external_url(text) == url
    assert urlsplit(url).path == path


@pytest.mark.parametrize(
    "text",
    [
        "example.org",
        "/vats",
        "ftp://example.org",
        "https://",
        "https://example.org/?a=b",
        "https://example.org/#top",
        "https://example.org:port",
        "https://[example.org",
    ],
)
def test_what_is_no_external_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a URL such as"):
        urls.parse_external_url(text)


def test_an_external_url_holds_no_password_and_the_refusal_does_not_quote_it() -> None:
    with pytest.raises(ValueError, match="must not hold a password") as caught:
        urls.parse_external_url("https://prometheus:hunter2@example.org/")
    assert "hunter2" not in str(caught.value)
