"""The landing page."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from vats_exporter import __version__
from vats_exporter.cabinet.errors import RESULTS
from vats_exporter.history.history import Change
from vats_exporter.redaction import Privacy
from vats_exporter.trunks import ROW_FLAGS, AccountState, Flags, Snapshot, Trunk
from vats_exporter.web.landing import (
    RUNBOOKS,
    WORDS,
    Language,
    Shown,
    choose_language,
    render_landing_page,
    runbook_of,
    span,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.history.history import Changes

LANGUAGES: Final[tuple[Language, ...]] = ("en", "ru")
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


def up(name: str = "acme", age: float = 42.0, trunks: Sequence[Trunk] = (TRUNK,)) -> AccountState:
    snapshot = Snapshot(tuple(trunks), NOW - age)
    return AccountState(name, snapshot, "success", "", 1.0, up=True)


def shown(
    state: AccountState, changes: Changes | None = None, privacy: Privacy | None = None
) -> Shown:
    return Shown(state, changes or {}, privacy or Privacy())


def page_of(*states: AccountState, language: Language = "en") -> str:
    return render_landing_page([shown(state) for state in states], NOW, language)


def trunk(number: int, *, expected: bool = False, **flags: bool) -> Trunk:
    usual = {"active": True, "bound": True, "marked_for_deletion": False}
    return TRUNK._replace(
        ref=f"CaLzt{number}",
        phone=f"7916{number:07d}",
        name=f"Name {number}",
        flags=Flags(**{**usual, **flags}),
        expected_off=expected,
    )


def test_each_account_has_its_state_trunks_and_age() -> None:
    reader = Reader(page_of(up("acme", 42), up("head office", 7300, [TRUNK, trunk(1)])))
    assert reader.texts[-10:] == [
        *("acme", "up", "1", "0", "42 s ago"),
        *("head office", "up", "2", "0", "2 h ago"),
    ]
    assert "Accounts (2/2)" in reader.texts
    assert "None of the trunks that were read needs attention." in reader.texts
    assert __version__ in reader.texts


@pytest.mark.parametrize(
    ("read_by", "language", "words"),
    [("script", "en", "by script"), ("block", "ru", "по блоку"), ("", "en", "0 s ago")],
)
def test_an_account_tells_by_what_it_is_read(read_by: str, language: Language, words: str) -> None:
    state = up()
    snapshot = Snapshot((TRUNK,), NOW, read_by=read_by)
    assert Reader(page_of(replace(state, snapshot=snapshot), language=language)).texts[-1] == words


def test_a_trunk_that_needs_attention_has_its_phone_name_trouble_and_since_when() -> None:
    wrong = trunk(7, active=False, bound=False)
    changes = {(wrong.ref, "active"): Change(3, NOW - 7200)}
    state = up(trunks=[trunk(1), wrong])
    reader = Reader(render_landing_page([shown(state, changes)], NOW))
    at = reader.texts.index("acme (1)")
    assert reader.texts[at : at + 10] == [
        *("acme (1)", "Trunk", "What is wrong"),
        *("+7 916 000-00-07", "Name 7"),
        *("inactive", "for 2 h", "unbound", "since an unknown time"),
        "Probe",
    ]
    assert "(1) vats-exporter" in reader.texts
    assert "+7 916 000-00-01" not in reader.texts


def test_a_trunk_without_a_phone_goes_by_its_reference() -> None:
    wrong = trunk(7, active=False)._replace(phone="", name="")
    texts = Reader(page_of(up(trunks=[wrong]))).texts
    at = texts.index("CaLzt7")
    assert texts[at + 1] == "inactive"


def test_trunks_that_are_off_on_purpose_are_apart() -> None:
    trunks = [
        trunk(1, active=False),
        trunk(2, active=False, expected=True),
        trunk(3, expected=True),
    ]
    texts = Reader(page_of(up(trunks=trunks))).texts
    assert texts.index("+7 916 000-00-01") < texts.index("Accounts (1/1)")
    assert texts.index("Off on purpose") < texts.index("+7 916 000-00-02")
    assert "+7 916 000-00-03" not in texts
    assert "(1) vats-exporter" in texts


def test_two_hundred_trunks_are_shown_and_the_rest_counted() -> None:
    first = up("first", trunks=[trunk(n, active=False) for n in range(150)])
    second = up("second", trunks=[trunk(n, bound=False) for n in range(200, 300)])
    third = up("third", trunks=[trunk(n, active=False, expected=True) for n in range(300, 309)])
    texts = Reader(page_of(first, second, third)).texts
    assert sum(text.startswith("+7 916") for text in texts) == 200
    assert [text for text in texts if "more" in text] == ["and 50 more", "and 9 more"]
    assert {"first (150)", "second (100)", "third (9)"} <= {*texts}


@pytest.mark.parametrize(("language", "suffix"), [("en", ".md"), ("ru", ".ru.md")])
def test_each_trouble_leads_to_the_runbook_of_its_alert(language: Language, suffix: str) -> None:
    folder = Path(__file__).parents[2] / "docs" / "runbooks"
    for flag in ROW_FLAGS:
        url = runbook_of(flag, language)
        assert url.startswith(RUNBOOKS)
        assert url.endswith(suffix)
        assert (folder / url.removeprefix(RUNBOOKS)).is_file()
    state = up(trunks=[trunk(1, active=False, marked_for_deletion=True)])
    links = Reader(page_of(state, language=language)).links
    assert [f"{RUNBOOKS}VatsTrunk{name}{suffix}" in links for name in ALERTS] == [True, True]


ALERTS = ("Inactive", "MarkedForDeletion")


def test_a_trouble_without_an_alert_is_told_without_a_link() -> None:
    state = up(trunks=[trunk(1)._replace(sip_device_enabled=False)])
    reader = Reader(page_of(state))
    assert "selector off" in reader.texts
    assert not any("runbooks" in link for link in reader.links)


def test_warnings_stand_beside_the_account() -> None:
    state = up()
    assert state.snapshot is not None
    warned = replace(state, snapshot=replace_warnings(state.snapshot, "2 rows of a new pattern"))
    assert "2 rows of a new pattern" in Reader(page_of(warned)).texts


def replace_warnings(snapshot: Snapshot, *warnings: str) -> Snapshot:
    return Snapshot(snapshot.trunks, snapshot.taken_at, warnings)


def test_a_failing_account_tells_why_and_keeps_the_age_of_what_is_served() -> None:
    state = AccountState("acme", up().snapshot, "not_gwt", "list: HTML where //OK was due", 1.0)
    texts = Reader(page_of(state)).texts
    assert texts[-6:] == [
        "acme",
        "not gwt",
        "list: HTML where //OK was due",
        "1",
        "0",
        "42 s ago",
    ]
    assert "Accounts (0/1)" in texts


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (300.0, "The login is tried again in 5 min."),
        (-1.0, "The login is tried again with the next scrape."),
    ],
)
def test_a_refused_login_tells_when_it_is_tried_again(left: float, sentence: str) -> None:
    state = AccountState("acme", None, "login_refused", "refused", 1.0, login_retry_at=NOW + left)
    texts = Reader(page_of(state)).texts
    assert texts[-7:] == ["acme", "login refused", "refused", sentence, "–", "–", "–"]


def test_an_account_whose_snapshot_became_too_old_is_not_up() -> None:
    texts = Reader(page_of(replace(up(), snapshot=None, up=False))).texts
    assert texts[-5:] == ["acme", "outdated", "–", "–", "–"]


def test_an_account_that_was_not_read_yet_says_so() -> None:
    texts = Reader(page_of(AccountState("acme"))).texts
    assert texts[-5:] == ["acme", "not read yet", "–", "–", "–"]


def test_no_account_is_a_sentence() -> None:
    assert "No account is configured." in Reader(page_of()).texts


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru"),
        ("en-US,en;q=0.9,ru;q=0.8", "en"),
        ("de, ru;q=0.5", "ru"),
        ("en-US,ru;q=0.7,en;q=0.3", "en"),
        ("RU-ru", "ru"),
        ("ru;q=0", "en"),
        ("ru;q=nan, en;q=0.5", "ru"),
        ("*", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_better(
    accept: str, language: Language
) -> None:
    assert choose_language(accept) == language


def test_the_page_is_in_russian_for_those_who_read_it() -> None:
    state = up(trunks=[trunk(1, active=False)])
    refused = AccountState("new", None, "login_refused", "", 1.0, login_retry_at=NOW + 300)
    page = page_of(state, refused, language="ru")
    assert '<html lang="ru">' in page
    texts = Reader(page).texts
    for russian in ("Транки, требующие внимания", "отключён", "отказано во входе", "42 с назад"):
        assert russian in texts
    assert "Следующая попытка входа — через 5 мин." in texts


@pytest.mark.parametrize("result", RESULTS)
def test_each_result_has_words_in_both_languages(result: str) -> None:
    state = AccountState("acme", None, result, "", 1.0)
    english, russian = (Reader(page_of(state, language=one)).texts for one in LANGUAGES)
    assert result not in russian
    assert english[-4].isascii()
    assert not russian[-4].isascii()


def test_whatever_comes_from_outside_is_escaped() -> None:
    evil = '<script>alert("&\'")</script>\ud800{style}$w_about'
    wrong = trunk(1, active=False)._replace(phone=evil, name=evil)
    state = replace(up(evil, trunks=[wrong]), result="unreachable", error=evil)
    page = page_of(state)
    reader = Reader(page)
    assert "script" not in reader.seen
    # The account's name, its error, the trunk's phone and name.
    assert reader.texts.count(evil.replace("\ud800", "\ufffd")) == 4
    page.encode()


def test_the_page_shows_no_secret_and_holds_back_what_labels_hold_back() -> None:
    state = replace(
        up(trunks=[trunk(1234567, active=False)]),
        result="unreachable",
        error="POST /?j_password=hunter2: reset",
    )
    page = render_landing_page([shown(state, privacy=Privacy(True, True))], NOW)
    for hidden in ("hunter2", "Name 1234567", "79161234567", "+7 916", "CaLzt1234567"):
        assert hidden not in page
    assert "*******4567" in page


def test_the_page_loads_nothing_and_its_links_are_relative() -> None:
    page = render_landing_page([shown(up())], NOW, metrics="/internal/m")
    links = Reader(page).links
    assert links == [
        "internal/m",
        "sd",
        "config",
        "-/healthy",
        "-/ready",
        "refreshes?account=acme",
    ]


def test_the_page_refreshes_by_itself() -> None:
    assert '<meta http-equiv="refresh" content="30">' in page_of(up())


def test_an_html_validator_finds_nothing_to_say() -> None:
    tidy = shutil.which("tidy")
    if tidy is None:
        pytest.skip("tidy, a package of Debian's, is not on PATH")
    troubled = up(trunks=[trunk(1, active=False), trunk(2, bound=False, expected=True)])
    failed = replace(up(), result="unreachable", error="<&>", snapshot=None)
    for states in ([], [up(), failed], [troubled]):
        for language in LANGUAGES:
            ended = subprocess.run(
                [tidy, "-errors", "-quiet", "-utf8"],
                check=False,
                input=page_of(*states, language=language),
                capture_output=True,
                text=True,
            )
            assert (ended.returncode, ended.stderr) == (0, "")


def test_the_page_suits_phones_and_both_colour_schemes() -> None:
    page = page_of(up())
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
    assert span(seconds, WORDS["en"]) == text
