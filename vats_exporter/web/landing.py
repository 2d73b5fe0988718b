"""The landing page: what a person who opens the exporter's address wants to know.

Plain HTML that loads nothing and runs nothing, in English or Russian; its parts, style and words
are in ``landing.html``. All that is put into a part is escaped, unless it is a part itself.
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
    from collections.abc import Iterator, Mapping, Sequence

    from vats_exporter.history import Changes
    from vats_exporter.privacy import Privacy
    from vats_exporter.trunks import AccountState, Flag, Trunk

Language = Literal["en", "ru"]

MOST: Final = 200
"""Trunks that the page shows."""

RUNBOOKS: Final = "https://github.com/vats-exporter/vats-exporter/blob/main/docs/runbooks/"
_FILE: Final = files("vats_exporter.web").joinpath("landing.html").read_text("utf-8")
_PARTS: Final = {
    name: Template(text.strip())
    for name, text in re.findall(r"(?s)<!-- part: (\w+) -->\n(.*?)(?=<!-- part: |\Z)", _FILE)
}
"""The page's parts, by name."""

_BOTH: Final = re.findall(r"(?m)^(\w+): (.*) = (.*)$", _PARTS["words"].template)
WORDS: Final = {
    "en": {name: english for name, english, _ in _BOTH},
    "ru": {name: russian for name, _, russian in _BOTH},
}
"""The page's words in each language, by name."""


class Shown(NamedTuple):
    """What the page shows of an account, and what it holds back of its trunks."""

    state: AccountState
    changes: Changes
    privacy: Privacy

    def troubled(self, *, expected_off: bool) -> list[Trunk]:
        """Return the trunks over which calls may not pass, as is meant to be or is not."""
        trunks = () if self.state.snapshot is None else self.state.snapshot.trunks
        return [one for one in trunks if one.troubles and one.expected_off is expected_off]


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


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


def runbook_of(flag: Flag, language: Language) -> str:
    """Return the URL of the runbook for a flag's alert; empty for a flag without an alert."""
    if flag.position is None:
        return ""
    name = "VatsTrunk" + flag.trouble_words.en.title().replace(" ", "")
    return f"{RUNBOOKS}{name}{'.ru' if language == 'ru' else ''}.md"


def span(seconds: float, words: Mapping[str, str]) -> str:
    """Write a duration for people, in its largest whole unit, with the page's words."""
    whole = max(0, int(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    unit, size = next((one for one in units if whole >= 2 * one[1]), units[-1])
    return f"{whole // size} {words[unit]}"


def render_landing_page(
    accounts: Sequence[Shown], now: float, language: Language = "en", metrics: str = "/metrics"
) -> str:
    """Write the page as HTML, with links relative to it.

    Args:
        accounts: in order.
        now: seconds since the epoch.
        language: of the page.
        metrics: the path of the metrics.
    """
    writer = _Writer(now, language)
    rows = [writer.account(shown) for shown in accounts]
    attention = [*writer.groups(accounts, expected_off=False)]
    expected = [*writer.groups(accounts, expected_off=True)]
    troubled = sum(len(shown.troubled(expected_off=False)) for shown in accounts)
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


class _Writer:
    """Writes the parts of one page."""

    def __init__(self, now: float, language: Language) -> None:
        self._now = now
        self._language: Language = language
        self._words = WORDS[language]
        self._named = {f"w_{name}": text for name, text in self._words.items()}
        self._left = MOST

    def write(self, part: str, **values: object) -> _Html:
        """Fill a part in: words as ``w_NAME``, text escaped, parts as they are."""
        filled = {name: _escaped(value) for name, value in values.items()}
        return _Html(_PARTS[part].substitute(self._named, **filled))

    def say(self, word: str) -> _Html:
        """Write a paragraph."""
        return self.write("paragraph", text=self._words[word])

    def account(self, shown: Shown) -> _Html:
        """Write an account's row."""
        state, snapshot = shown.state, shown.state.snapshot
        notes = [redact(state.error)] if state.error else []
        if state.login_retry_at is not None:
            left = state.login_retry_at - self._now
            text = self._words["retry_in" if left > 0 else "retry_now"]
            notes.append(text.format(span(left, self._words)))
        trunks, troubled, read, read_by = "–", "–", _Html("–"), ""
        if snapshot is not None:
            notes += map(redact, snapshot.warnings)
            trunks, read = str(len(snapshot.trunks)), self._moment("ago", snapshot.taken_at)
            troubled = str(len(shown.troubled(expected_off=False)))
            read_by = self._words.get(snapshot.read_by, "")
        result = state.result or "waiting"
        if result == "success" and not state.up:
            result = "outdated"
        return self.write(
            "account",
            query=_query(shown),
            name=state.account,
            kind="up" if state.up else "down" if state.result else "waiting",
            state=self._words.get(result, result),
            notes=[self.write("note", text=note) for note in notes],
            trunks=trunks,
            troubled=troubled,
            read=read,
            read_by=self.write("note", text=read_by) if read_by else "",
        )

    def groups(self, accounts: Sequence[Shown], *, expected_off: bool) -> Iterator[_Html]:
        """Write the trunks of each account that are troubled, as far as the page has room."""
        for shown in accounts:
            trunks = shown.troubled(expected_off=expected_off)
            named = trunks[: self._left]
            self._left -= len(named)
            more = self._words["more"].format(len(trunks) - len(named))
            if trunks:
                yield self.write(
                    "trunks",
                    account=shown.state.account,
                    count=len(trunks),
                    rows=[self._trunk(shown, trunk) for trunk in named],
                    more=self.write("paragraph", text=more) if len(named) < len(trunks) else "",
                )

    def _trunk(self, shown: Shown, trunk: Trunk) -> _Html:
        name = shown.privacy.name(trunk)
        return self.write(
            "trunk",
            phone=_grouped(shown.privacy.phone(trunk)) or trunk.ref,
            note=self.write("note", text=name) if name else "",
            troubles=[self._trouble(shown, trunk, flag) for flag in trunk.troubles],
            query=_query(shown),
        )

    def _trouble(self, shown: Shown, trunk: Trunk, flag: Flag) -> _Html:
        change = shown.changes.get((trunk.ref, flag.key))
        runbook = runbook_of(flag, self._language)
        return self.write(
            "trouble_with_runbook" if runbook else "trouble",
            word=getattr(flag.trouble_words, self._language),
            since=self._moment("lasting", change.last_changed) if change else self._words["long"],
            runbook=runbook,
        )

    def _moment(self, word: str, at: float) -> _Html:
        when = datetime.fromtimestamp(at, timezone.utc)
        return self.write(
            "time",
            iso=f"{when:%Y-%m-%dT%H:%M:%SZ}",
            exact=f"{when:%Y-%m-%d %H:%M:%S} UTC",
            text=self._words[word].format(span(self._now - at, self._words)),
        )


def _escaped(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(map(_escaped, value))
    return value if isinstance(value, _Html) else escape(clean(str(value)))


def _query(shown: Shown) -> str:
    return urlencode({"account": clean(shown.state.account)})


def _grouped(phone: str) -> str:
    """Write a phone as people do; what is masked stays as it is."""
    return re.sub(r"^7(\d{3})(\d{3})(\d\d)(\d\d)$", r"+7 \1 \2-\3-\4", phone)
