"""The landing page, for a person who opens the exporter's address.

Plain HTML that loads nothing and runs nothing, in English or Russian; its parts, style and words
are in ``landing.html``. All that is put into a part is escaped, unless it is a part itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from html import escape
from importlib.resources import files
from string import Template
from typing import Final, Literal, NamedTuple
from urllib.parse import urlencode

from vats_exporter import __version__
from vats_exporter.history.history import Changes
from vats_exporter.metrics.exposition import clean
from vats_exporter.redaction import Privacy, redact
from vats_exporter.trunks import AccountState, Flag, Trunk

Language = Literal["en", "ru"]

MOST: Final = 200  # trunks that the page shows
RUNBOOKS: Final = "https://github.com/vats-exporter/vats-exporter/blob/main/docs/runbooks/"
_FILE: Final = files("vats_exporter.web").joinpath("landing.html").read_text("utf-8")
_PART: Final = re.compile(r"(?s)<!-- part: (\w+) -->\n(.*?)(?=<!-- part: |\Z)")
_PARTS: Final = {name: Template(part.strip()) for name, part in _PART.findall(_FILE)}
_BOTH: Final = re.findall(r"(?m)^(\w+): (.*) = (.*)$", _PARTS["words"].template)
WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {name: english for name, english, _ in _BOTH},
    "ru": {name: russian for name, _, russian in _BOTH},
}
_OFFER: Final = re.compile(r"(?<![\w-])(en|ru)\b[^,;]*(?:;q=([01](?:\.\d*)?))?")
_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


class Shown(NamedTuple):
    """An account as the page shows it, and the labels' privacy."""

    state: AccountState
    changes: Changes
    privacy: Privacy

    def troubled(self, *, on_purpose: bool = False) -> list[Trunk]:
        """Return the trunks in trouble, on purpose or not."""
        trunks = self.state.snapshot.trunks if self.state.snapshot else ()
        return [one for one in trunks if one.troubles and one.expected_off is on_purpose]


def choose_language(accept: str) -> Language:
    """Return the language that a client likes better, by its header ``Accept-Language``."""
    # Of several offers of one language, such as ru-RU and ru, clients name the best one first.
    liked = {code: float(quality or 1) for code, quality in _OFFER.findall(accept.lower())[::-1]}
    return "ru" if liked.get("ru", 0.0) > liked.get("en", 0.0) else "en"


def runbook_of(flag: Flag, language: Language) -> str:
    """Return the URL of the runbook for a flag's alert; empty for a flag without an alert."""
    name = "VatsTrunk" + flag.trouble_words.en.title().replace(" ", "")
    ending = ".ru.md" if language == "ru" else ".md"
    return "" if flag.position is None else f"{RUNBOOKS}{name}{ending}"


def span(seconds: float, words: Mapping[str, str]) -> str:
    """Write a duration for people, in its largest whole unit."""
    whole = max(0, int(seconds))
    unit, size = next((one for one in _UNITS if whole >= 2 * one[1]), _UNITS[-1])
    return f"{whole // size} {words[unit]}"


def render_landing_page(
    accounts: Sequence[Shown], now: float, language: Language = "en", metrics: str = "/metrics"
) -> str:
    """Write the page as it is at a time, with links relative to it."""
    writer = _Writer(now, language)
    rows = [writer.account(shown) for shown in accounts]
    attention = [*writer.groups(accounts, on_purpose=False)]
    expected = [*writer.groups(accounts, on_purpose=True)]
    troubled = sum(len(shown.troubled()) for shown in accounts)
    return writer.write(
        "page",
        lang=language,
        title=f"({troubled}) vats-exporter" if troubled else "vats-exporter",
        version=__version__,
        metrics_path=metrics[1:],
        up=sum(shown.state.up for shown in accounts),
        count=len(accounts),
        accounts=writer.write("accounts", rows=rows) if rows else writer.say("no_account"),
        attention=attention or writer.say("none"),
        expected=writer.write("expected", trunks=expected) if expected else "",
    )


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


class _Writer:
    """Writes the parts of one page."""

    def __init__(self, now: float, language: Language) -> None:
        self._now = now
        self._language: Language = language
        self._words = WORDS[language]
        self._left = MOST

    def write(self, part: str, **values: object) -> _Html:
        words = {f"w_{name}": text for name, text in self._words.items()}
        filled = {name: _escaped(value) for name, value in values.items()}
        return _Html(_PARTS[part].substitute(words, **filled))

    def say(self, word: str, *values: object) -> _Html:
        return self.write("paragraph", text=self._words[word].format(*values))

    def account(self, shown: Shown) -> _Html:
        state, snapshot = shown.state, shown.state.snapshot
        notes = [state.error] if state.error else []
        if state.login_retry_at is not None:
            left = state.login_retry_at - self._now
            text = self._words["retry_in" if left > 0 else "retry_now"]
            notes.append(text.format(span(left, self._words)))
        read: list[str] = ["–"]
        if snapshot is not None:
            notes += snapshot.warnings
            read = [self._since("ago", snapshot.taken_at)]
            if snapshot.read_by:
                read.append(self.write("note", text=self._words[snapshot.read_by]))
        result = state.result or "waiting"
        if result == "success" and not state.up:
            result = "outdated"
        return self.write(
            "account",
            query=_query(shown),
            name=state.account,
            kind="up" if state.up else "down" if state.result else "waiting",
            state=self._words.get(result, result),
            notes=[self.write("note", text=redact(note)) for note in notes],
            trunks="–" if snapshot is None else len(snapshot.trunks),
            troubled="–" if snapshot is None else len(shown.troubled()),
            read=read,
        )

    def groups(self, accounts: Sequence[Shown], *, on_purpose: bool) -> Iterator[_Html]:
        """Write the trunks of each account that are troubled, as far as the page has room."""
        for shown in accounts:
            trunks = shown.troubled(on_purpose=on_purpose)
            rows = [self._trunk(shown, trunk) for trunk in trunks[: self._left]]
            self._left -= len(rows)
            unnamed = len(trunks) - len(rows)
            more = self.say("more", unnamed) if unnamed else ""
            name, count = shown.state.account, len(trunks)
            if trunks:
                yield self.write("trunks", account=name, count=count, rows=rows, more=more)

    def _trunk(self, shown: Shown, trunk: Trunk) -> _Html:
        trunk = shown.privacy.trunk(trunk)
        # As people write a phone; what is masked stays as it is.
        phone = re.sub(r"^7(\d{3})(\d{3})(\d\d)(\d\d)$", r"+7 \1 \2-\3-\4", trunk.phone)
        troubles = []
        for flag in trunk.troubles:
            change = shown.changes.get((trunk.ref, flag.key))
            runbook = runbook_of(flag, self._language)
            part = "trouble_with_runbook" if runbook else "trouble"
            word = getattr(flag.trouble_words, self._language)
            since = self._since("lasting", change.last_changed) if change else self._words["long"]
            troubles.append(self.write(part, word=word, since=since, runbook=runbook))
        return self.write(
            "trunk",
            phone=phone or trunk.ref,
            note=self.write("note", text=trunk.name) if trunk.name else "",
            troubles=troubles,
            query=_query(shown),
        )

    def _since(self, word: str, at: float) -> _Html:
        when = datetime.fromtimestamp(at, timezone.utc)
        iso, exact = f"{when:%Y-%m-%dT%H:%M:%SZ}", f"{when:%Y-%m-%d %H:%M:%S} UTC"
        text = self._words[word].format(span(self._now - at, self._words))
        return self.write("time", iso=iso, exact=exact, text=text)


def _escaped(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(map(_escaped, value))
    return value if isinstance(value, _Html) else escape(clean(str(value)))


def _query(shown: Shown) -> str:
    return urlencode({"account": clean(shown.state.account)})
