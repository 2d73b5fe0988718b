"""The landing page."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from vats_exporter import __version__
from vats_exporter.trunks import AccountState, Flags, Snapshot, Trunk
from vats_exporter.web.landing import render_landing_page, span

NOW = 1_750_000_000.0
TRUNK = Trunk("CaLztv", 1, "79161234567", "Иванов", Flags(True, True, False), "1100", True)
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Reads a page as text, and sees to it that every element that opens closes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.texts.append(data.strip())


def up(name: str = "acme", age: float = 42.0, trunks: int = 1) -> AccountState:
    snapshot = Snapshot((TRUNK,) * trunks, NOW - age, 1.0)
    return AccountState(name, snapshot, "success", "", NOW - age, 1.0)


def test_each_account_has_its_state_trunks_and_age() -> None:
    reader = Reader(render_landing_page([up("acme", 42), up("head office", 7300, 3)], NOW))
    assert reader.texts[-8:] == ["acme", "up", "1", "42 s ago", "head office", "up", "3", "2 h ago"]
    assert "Accounts (2 of 2 up)" in reader.texts
    assert __version__ in reader.texts


def test_trunks_that_need_attention_are_counted() -> None:
    flags = [Flags(True, True, False), Flags(False, False, True), Flags(True, False, False)]
    trunks = tuple(replace(TRUNK, ref=f"CaLzt{n}", flags=one) for n, one in enumerate(flags))
    snapshot = Snapshot(trunks, NOW - 42, 1.0, warnings=("1 row of an unknown pattern",))
    state = replace(up(), snapshot=snapshot)
    texts = Reader(render_landing_page([state], NOW)).texts
    counted = "Trunks: 1 inactive, 2 unbound, 1 marked for deletion."
    assert texts[-5:-2] == ["up", counted, "1 row of an unknown pattern"]


def test_a_failing_account_tells_why_and_keeps_the_age_of_what_is_served() -> None:
    state = AccountState(
        "acme", up().snapshot, "not_gwt", "list: HTML where //OK was due", NOW, 1.0
    )
    texts = Reader(render_landing_page([state], NOW)).texts
    assert texts[-5:] == ["acme", "not gwt", "list: HTML where //OK was due", "1", "42 s ago"]
    assert "Accounts (0 of 1 up)" in texts


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (300.0, "The login is tried again in 5 min."),
        (-1.0, "The login is tried again with the next scrape."),
    ],
)
def test_a_refused_login_tells_when_it_is_tried_again(left: float, sentence: str) -> None:
    state = AccountState(
        "acme", None, "login_refused", "refused", NOW, 1.0, login_retry_at=NOW + left
    )
    texts = Reader(render_landing_page([state], NOW)).texts
    assert texts[-6:] == ["acme", "login refused", "refused", sentence, "–", "–"]


def test_an_account_that_was_not_read_yet_says_so() -> None:
    texts = Reader(render_landing_page([AccountState("acme")], NOW)).texts
    assert texts[-4:] == ["acme", "not read yet", "–", "–"]


def test_no_account_is_a_sentence() -> None:
    assert "No account is configured." in Reader(render_landing_page([], NOW)).texts


def test_whatever_comes_from_outside_is_escaped() -> None:
    evil = '<script>alert("&\'")</script>\ud800{style}'
    state = AccountState(evil, None, "unreachable", evil, NOW, 1.0)
    page = render_landing_page([state], NOW)
    assert "script" not in Reader(page).seen
    assert Reader(page).texts.count(evil.replace("\ud800", "\ufffd")) == 2
    page.encode()


def test_the_page_shows_neither_people_nor_phones_nor_secrets() -> None:
    state = AccountState(
        "acme", up().snapshot, "unreachable", "POST /?j_password=hunter2: reset", NOW, 1.0
    )
    page = render_landing_page([state], NOW)
    for hidden in ("hunter2", "Иванов", "79161234567", "CaLztv"):
        assert hidden not in page


def test_the_page_loads_nothing_and_links_to_the_exporters_pages() -> None:
    assert Reader(render_landing_page([up()], NOW)).links == [
        "/metrics",
        "/sd",
        "/-/healthy",
        "/-/ready",
        "/probe?account=acme&debug=true",
    ]


def test_an_html_validator_finds_nothing_to_say() -> None:
    tidy = shutil.which("tidy")
    if tidy is None:
        pytest.skip("tidy, a package of Debian's, is not on PATH")
    for states in ([], [up(), replace(up(), result="unreachable", error="<&>", snapshot=None)]):
        page = render_landing_page(states, NOW)
        told = subprocess.run(
            [tidy, "-errors", "-quiet", "-utf8"],
            check=False,
            input=page,
            capture_output=True,
            text=True,
        )
        assert (told.returncode, told.stderr) == (0, "")


def test_the_page_suits_phones_and_both_colour_schemes() -> None:
    page = render_landing_page([up()], NOW)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "color-scheme: light dark" in page
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
    ],
)
def test_spans_are_written_in_their_largest_whole_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text
