"""The dashboards' source: its files, texts in two languages, pieces of PromQL, and the flags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from vats_exporter.trunks import FLAGS

Json = dict[str, Any]

SOURCE: Final = Path(__file__).resolve().parent / "src"

# The keys of the source whose values a person sees.
TEXTS: Final = ("title", "description", "label", "noValue", "legend", "text")


class SourceError(Exception):
    """The source says something that this script does not understand."""


def read(name: str) -> Json:
    """Read a file of the source."""
    source: Json = yaml.safe_load((SOURCE / name).read_text(encoding="utf-8"))
    return source


def translate(source: Any, words: dict[str, str], key: str = "") -> Any:
    """Put every text of a source into another language; what is no text stays.

    Args:
        source: as YAML gives it, or a part of it.
        words: each text's translation.
        key: under which the part stands.

    Raises:
        SourceError: a text has no translation.
    """
    if isinstance(source, dict):
        if key == "words":
            return {k: translate(v, words, "text") for k, v in source.items()}
        return {k: translate(v, words, k) for k, v in source.items()}
    if isinstance(source, list):
        return [translate(one, words, key) for one in source]
    if key in TEXTS and re.search("[A-Za-z]", re.sub(r"{{\w+}}|\$\w+", "", source)):
        if source not in words:
            raise SourceError(f"src/ru.yml has no Russian for {source!r}")
        return words[source]
    return source


def expand(expr: str, pieces: dict[str, str]) -> str:
    """Put the pieces of PromQL into a query, on one line.

    Args:
        expr: may hold ``<<name>>``.
        pieces: by name; they may hold further ones.

    Raises:
        SourceError: a name is unknown, or a piece holds itself.
    """
    for _ in range(len(pieces) + 1):
        missing = {name for name in re.findall(r"<<(\w+)>>", expr) if name not in pieces}
        if missing:
            raise SourceError(f"no piece is called {', '.join(sorted(missing))}")
        if "<<" not in expr:
            return " ".join(expr.split())
        expr = re.sub(r"<<(\w+)>>", lambda found: pieces[found[1]], expr)
    raise SourceError(f"pieces that hold themselves, or a stray <<: {expr[:80]}")


def flag_pieces(language: str) -> dict[str, str]:
    """Make the pieces that name every flag.

    ``flags`` gives each flag of the selector ``<<those>>``, as a number that says which flag it is
    as well: 0 and 1 for the first one, 2 and 3 for the second. ``told_by_to`` and ``told_by_state``
    add a label ``what`` to ``<<changes>>``: what became of the flag, in words.
    """
    numbers = []
    by_to = by_state = "<<changes>>"
    for index, flag in enumerate(FLAGS):
        # Of two exporters that do not agree the better word counts, as in the alerts.
        best = "min" if flag.trouble else "max"
        number = f"{2 * index} + {best}({flag.metric}{{<<those>>}})"
        numbers.append(f'label_replace({number}, "flag", "{flag.key}", "", "")')
        for value, words in enumerate((flag.off, flag.on)):
            word = getattr(words, language)
            to = "wrong" if bool(value) is flag.trouble else "right"
            chosen = f'"flag_and_to", "{flag.key} {to}"'
            by_to = f'label_replace({by_to}, "what", "{word}", {chosen})'
            by_state = (
                f'label_replace({by_state}, "what", "{word}", "state", "{2 * index + value}")'
            )
    return {
        "flags": f"({' or '.join(numbers)})",
        "told_by_to": by_to,
        "told_by_state": by_state,
    }


def flag_mappings(language: str, colors: dict[str, str]) -> Json:
    """Make the mappings of flags' names, and of the numbers of :func:`flag_pieces`."""
    states = {}
    for index, flag in enumerate(FLAGS):
        for value, words in enumerate((flag.off, flag.on)):
            wrong = bool(value) is flag.trouble
            word = getattr(words, language)
            color = colors.get(flag.key, "red") if wrong else "green"
            states[2 * index + value] = {"text": word[:1].upper() + word[1:], "color": color}
    titles = {flag.key: {"text": getattr(flag.title, language)} for flag in FLAGS}
    return {"flags": titles, "flag_states": states}


def flag_overrides(language: str) -> Json:
    """Call each flag's series by its title."""
    return {flag.key: {"title": getattr(flag.title, language)} for flag in FLAGS}
