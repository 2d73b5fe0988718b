"""The landing page: what a person who opens the exporter's address wants to know.

Plain HTML that loads nothing and runs nothing, in English or Russian; its frame and style are in
``landing.html``. Everything that comes from outside the exporter is escaped, and secrets are masked
once more on their way here.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import urlencode

from vats_exporter import __version__
from vats_exporter.metrics.exposition import clean
from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.history import Changes
    from vats_exporter.privacy import Privacy
    from vats_exporter.trunks import AccountState, Flag, Trunk

Language = Literal["en", "ru"]

MOST: Final = 200
"""Trunks that the page shows."""

RUNBOOKS: Final = "https://github.com/vats-exporter/vats-exporter/blob/main/docs/runbooks/"
_FILE: Final = files("vats_exporter.web").joinpath("landing.html")
_PARTS: Final = {
    name: Template(text.strip())
    for name, text in re.findall(
        r"<!-- part: (\w+) -->\n(.*?)(?=<!-- part: |\Z)", _FILE.read_text("utf-8"), re.DOTALL
    )
}
"""The page's parts, by name; ``w_`` begins the names of words."""

_WORDS: Final = {
    name: (english, russian)
    for name, english, russian in re.findall(
        r"^(\w+): (.*) = (.*)$", _PARTS["words"].template, re.MULTILINE
    )
}
"""In both languages, by name."""


class Shown(NamedTuple):
    """What the page shows of an account.

    Attributes:
        state: the account's.
        troubled: the trunks over which calls may not pass.
        changes: of its trunks' flags.
        privacy: what is held back of them.
    """

    state: AccountState
    troubled: Sequence[Trunk]
    changes: Changes
    privacy: Privacy


def choose_language(accept: str) -> Language:
    """Return the language that a client likes better, by its header ``Accept-Language``."""
    liked = {"en": 0.0, "ru": 0.0}
    for offer in accept.lower().split(","):
        language, _, quality = offer.strip().partition(";q=")
        code = language.split("-")[0]
        if code in liked:
            known = re.fullmatch(r"[01](?:\.\d*)?", quality)
            liked[code] = max(liked[code], float(known[0]) if known else 1.0)
    return "ru" if liked["ru"] > liked["en"] else "en"


def span(seconds: float, language: Language = "en") -> str:
    """Write a duration for people, in its largest whole unit."""
    whole = max(0, int(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    unit, size = next((one for one in units if whole >= 2 * one[1]), units[-1])
    return f"{whole // size} {_WORDS[unit][language == 'ru']}"


def render_landing_page(
    accounts: Sequence[Shown],
    now: float,
    language: Language = "en",
    metrics_path: str = "/metrics",
) -> str:
    """Write the page.

    Args:
        accounts: in order.
        now: seconds since the epoch.
        language: of the page.
        metrics_path: where the metrics are.

    Returns:
        HTML, with links relative to the page.
    """
    return _Writer(language, now).page(accounts, metrics_path)


class _Writer:
    """Writes the parts of one page. Values are escaped where they are put in."""

    def __init__(self, language: Language, now: float) -> None:
        self._words = {f"w_{key}": words[language == "ru"] for key, words in _WORDS.items()}
        self._language: Language = language
        self._now = now
        self._left = MOST

    def page(self, accounts: Sequence[Shown], metrics_path: str) -> str:
        rows = [self._account(shown) for shown in accounts]
        attention = [*self._trunks(accounts, expected=False)]
        expected = [*self._trunks(accounts, expected=True)]
        troubled = sum(_needing_attention(shown) for shown in accounts)
        return self._write(
            "page",
            lang=self._language,
            title=f"({troubled}) vats-exporter" if troubled else "vats-exporter",
            version=escape(__version__),
            metrics_path=escape(metrics_path[1:]),
            up=sum(shown.state.up for shown in accounts),
            count=len(accounts),
            accounts=self._write("accounts", rows="\n".join(rows))
            if rows
            else self._say("no_account"),
            attention="\n".join(attention or [self._say("none")]),
            expected=self._write("expected", trunks="\n".join(expected)) if expected else "",
        )

    def _account(self, shown: Shown) -> str:
        state, snapshot = shown.state, shown.state.snapshot
        notes = [redact(state.error)] if state.error else []
        if state.login_retry_at is not None:
            left = state.login_retry_at - self._now
            text = self._words["w_retry_in" if left > 0 else "w_retry_now"]
            notes.append(text.format(span(left, self._language)))
        trunks = troubled = read = "–"
        read_by = ""
        if snapshot is not None:
            notes += map(redact, snapshot.warnings)
            trunks, read = str(len(snapshot.trunks)), self._span("ago", snapshot.taken_at)
            troubled = str(_needing_attention(shown))
            if snapshot.read_by:
                read_by = self._write("note", text=self._words[f"w_{snapshot.read_by}"])
        result = state.result or "waiting"
        if result == "success" and not state.up:
            result = "outdated"
        return self._write(
            "account",
            refreshes=_link("refreshes", account=state.account),
            name=_text(state.account),
            kind="up" if state.up else "down" if state.result else "waiting",
            state=_text(self._words.get(f"w_{result}", result)),
            notes="".join(self._write("note", text=_text(note)) for note in notes),
            trunks=trunks,
            troubled=troubled,
            read=read,
            read_by=read_by,
        )

    def _trunks(self, accounts: Sequence[Shown], *, expected: bool) -> Iterator[str]:
        for shown in accounts:
            trunks = [one for one in shown.troubled if one.expected_off is expected]
            named = trunks[: self._left]
            self._left -= len(named)
            more = self._words["w_more"].format(len(trunks) - len(named))
            if trunks:
                yield self._write(
                    "trunks",
                    account=_text(shown.state.account),
                    count=len(trunks),
                    rows="\n".join(self._trunk(shown, trunk) for trunk in named),
                    more=self._write("paragraph", text=more) if len(named) < len(trunks) else "",
                )

    def _trunk(self, shown: Shown, trunk: Trunk) -> str:
        name = _text(shown.privacy.name(trunk))
        return self._write(
            "trunk",
            phone=_text(_grouped(shown.privacy.phone(trunk)) or trunk.ref),
            note=self._write("note", text=name) if name else "",
            troubles="".join(self._trouble(shown, trunk, flag) for flag in trunk.troubles),
            probe=_link("probe", account=shown.state.account, debug="true"),
        )

    def _trouble(self, shown: Shown, trunk: Trunk, flag: Flag) -> str:
        change = shown.changes.get((trunk.ref, flag.key))
        since = (
            self._words["w_long"] if change is None else self._span("lasting", change.last_changed)
        )
        word = getattr(flag.trouble_words, self._language)
        runbook = runbook_of(flag, self._language)
        part = "trouble_with_runbook" if runbook else "trouble"
        return self._write(part, word=_text(word), since=since, runbook=runbook)

    def _span(self, word: str, at: float) -> str:
        when = datetime.fromtimestamp(at, timezone.utc)
        return self._write(
            "time",
            iso=f"{when:%Y-%m-%dT%H:%M:%SZ}",
            exact=f"{when:%Y-%m-%d %H:%M:%S} UTC",
            text=self._words[f"w_{word}"].format(span(self._now - at, self._language)),
        )

    def _say(self, key: str) -> str:
        return self._write("paragraph", text=self._words[f"w_{key}"])

    def _write(self, part: str, **values: object) -> str:
        return _PARTS[part].substitute(self._words, **values)


def runbook_of(flag: Flag, language: Language) -> str:
    """Return the URL of the runbook for a flag's alert; empty for a flag without an alert."""
    if flag.position is None:
        return ""
    name = "VatsTrunk" + flag.trouble_words.en.title().replace(" ", "")
    return f"{RUNBOOKS}{name}{'.ru' if language == 'ru' else ''}.md"


def _needing_attention(shown: Shown) -> int:
    return sum(not trunk.expected_off for trunk in shown.troubled)


def _link(page: str, **parameters: str) -> str:
    clear = {name: clean(value) for name, value in parameters.items()}
    return escape(f"{page}?{urlencode(clear)}")


def _grouped(phone: str) -> str:
    """Write a phone as people do; what is masked stays as it is."""
    found = re.fullmatch(r"7(\d{3})(\d{3})(\d\d)(\d\d)", phone)
    return "+7 {} {}-{}-{}".format(*found.groups()) if found else phone


def _text(text: str) -> str:
    return escape(clean(text))
