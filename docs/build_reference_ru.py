"""Makes the Russian reference of what the program itself knows: ``make reference``.

Names, types, defaults and labels come from the schema and the collector's table, as in English; the
words come from ``reference_ru.yml``, a text for each key and metric. A test fails where one is
missing, is about nothing, or where what is written is not what this makes.
"""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any, Final

import yaml

from docs.build_reference import command_helps, schema_of
from vats_exporter.cabinet.errors import RESULTS
from vats_exporter.cabinet.transport import CALLS
from vats_exporter.cli import speak
from vats_exporter.config.models import Config
from vats_exporter.metrics.table import METRICS
from vats_exporter.trunks import FLAGS, ROW_FLAGS

DOCS: Final = Path(__file__).parent
HERE: Final = DOCS / "reference"
TEXTS: Final[dict[str, Any]] = yaml.safe_load((DOCS / "reference_ru.yml").read_text("utf-8"))

_MADE: Final = "<!-- Made by docs/build_reference_ru.py; `make reference` makes it anew. -->\n"
_WORDS: Final[dict[str, str]] = TEXTS["words"]


def render() -> dict[str, str]:
    """Return every file, by its name."""
    return {
        "configuration.ru.md": configuration(),
        "metrics.ru.md": metrics(),
        "commands.ru.md": commands(),
    }


def sections() -> dict[str, dict[str, Any]]:
    """Return the properties of each mapping with keys of its own, by the path that leads to it.

    ``defaults`` has some of an account's keys, and an account the same ``flags`` as the file: they
    are not gone into.
    """
    made = schema_of(Config)
    found: dict[str, dict[str, Any]] = {}

    def walk(path: str, properties: dict[str, Any]) -> None:
        found[path] = properties
        for key, one in properties.items():
            definition = _definition(one)
            if definition and path != "defaults" and (path, key) != ("accounts[]", "flags"):
                inner = f"{path}.{key}".lstrip(".") + "[]" * (one.get("type") == "array")
                walk(inner, made["$defs"][definition]["properties"])

    walk("", made["properties"])
    return found


def configuration() -> str:
    """Return the reference of ``vats-exporter.yml``."""
    texts = TEXTS["configuration"]
    made = sections()
    blocks = [_MADE, texts["head"]]
    # In the order of the texts, which is that of the file.
    for path, section in texts["sections"].items():
        blocks.append(f"## {section.get('title') or f'`{path}`'}\n")
        if "about" in section:
            blocks.append(f"{section['about']}\n")
        keys = section.get("keys", {})
        if path == "flags":
            keys = {flag.key: flag.help.ru for flag in ROW_FLAGS}
        if keys:
            rows = [
                [f"`{key}`", _type(made[path][key]), _default(made[path][key]), text]
                for key, text in keys.items()
            ]
            blocks.append(_table(texts["columns"], rows))
    return "\n".join(blocks)


def metrics() -> str:
    """Return the reference of the metrics."""
    texts = TEXTS["metrics"]
    names = {**{flag.metric: flag.help.ru for flag in FLAGS}, **texts["names"]}
    blocks = [_MADE, texts["head"]]
    for scope, title in texts["scopes"].items():
        rows = [
            [f"`{one.name}`", one.type, ", ".join(one.labels), names[one.name]]
            for one in METRICS
            if one.scope == scope
        ]
        blocks += [f"## {title}\n", _table(texts["columns"], rows)]
    listed = {"results": RESULTS, "calls": CALLS, "flags": [flag.key for flag in FLAGS]}
    lists = {key: ", ".join(f"`{one}`" for one in values) for key, values in listed.items()}
    rows = [[f"`{label}`", str(text).format(**lists)] for label, text in texts["labels"].items()]
    meanings = "\n".join(f"- `{one}` — {texts['results'][one]}" for one in RESULTS)
    blocks += [f"## {texts['labels_title']}\n", _table(texts["label_columns"], rows)]
    blocks.append(texts["tail"].replace("{meanings}", meanings))
    return "\n".join(blocks)


def commands() -> str:
    """Return every command's help text, which the command line's own catalogue translates."""
    before = os.environ.get("LANGUAGE", "")
    speak("ru")
    try:
        return "\n".join([_MADE, TEXTS["commands"]["head"], *command_helps()])
    finally:
        speak("en")
        os.environ["LANGUAGE"] = before


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _definition(one: dict[str, Any]) -> str:
    """Return the name of the definition that a property refers to; empty if it has none."""
    return str({**one, **one.get("items", {})}.get("$ref", "")).rpartition("/")[2]


def _type(one: dict[str, Any]) -> str:
    """Say what a property's value is."""
    if "anyOf" in one:  # with null, which is the key not given
        return _type(next(part for part in one["anyOf"] if part["type"] != "null"))
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])
    if _definition(one):
        return _WORDS["list" if one.get("type") == "array" else "mapping"]
    pattern, kind = one.get("pattern", ""), one["type"]
    if "ms" in pattern or "KMG" in pattern:
        return _WORDS["duration" if "ms" in pattern else "size"]
    if one.get("format") == "path":
        return _WORDS["path"]
    limits = [
        f"{_WORDS[word]} {one[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"))
        if key in one
    ]
    word = {"array": "texts", "object": "named", "string": "text"}.get(kind, kind)
    return " ".join([_WORDS[word], *limits])


def _default(one: dict[str, Any]) -> str:
    default = one.get("default")
    if default is None or default == "":
        return ""
    text = str(default).lower() if isinstance(default, bool) else str(default)
    if "|" in text:  # a cell ends at each bar, in Python's Markdown also at one within backquotes
        return f"<code>{html.escape(text).replace('|', '&#124;')}</code>"
    return f"`{text}`"


if __name__ == "__main__":
    for name, content in render().items():
        (HERE / name).write_text(content, "utf-8")
