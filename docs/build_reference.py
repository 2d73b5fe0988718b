"""Makes the reference of what the program itself knows: ``make reference``.

The configuration's keys come from their schema, the metrics from the collector's table, the
commands from their help texts. A test fails where what is written is not what this makes.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, Final

import click

from vats_exporter.cabinet.errors import RESULTS
from vats_exporter.cli import COMMANDS, _commands
from vats_exporter.config.schema import FileKeys
from vats_exporter.config.web_schema import WebFileKeys
from vats_exporter.metrics import METRICS

HERE: Final = Path(__file__).parent / "reference"
_MADE: Final = "<!-- Made by docs/build_reference.py; `make reference` makes it anew. -->\n"

_SCOPES: Final = {
    "trunk": "One a trunk",
    "account": "One an account",
    "probe": "On `/probe` alone",
    "exporter": "Of the exporter",
}


def render() -> dict[str, str]:
    """Return every file, by its name."""
    return {
        "configuration.md": configuration(),
        "web-configuration.md": web_configuration(),
        "vats-exporter.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        "metrics.md": metrics(),
        "commands.md": commands(),
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``vats-exporter.yml``, for editors.

    The program reads every scalar as the text it is written as; an editor takes an unquoted phone
    for a number, and ``on`` for a text, so both are allowed where they are meant.
    """
    made = FileKeys.model_json_schema()
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
    made["title"] = "vats-exporter.yml"
    account = made["$defs"]["AccountKeys"]["properties"]
    account["login"]["type"] = ["string", "integer"]
    details = made["properties"]["details"]
    reference = {key: details.pop(key) for key in ("$ref", "allOf") if key in details}
    details["anyOf"] = [reference, {"enum": [True, False, "on", "off"]}]
    for definition in made["$defs"].values():
        definition.pop("title", None)
        for one in definition.get("properties", {}).values():
            one.pop("title", None)
    return made


def configuration() -> str:
    """Return the reference of ``vats-exporter.yml``."""
    made = schema()
    text = [
        _MADE,
        "# Configuration\n",
        (
            "`vats-exporter.yml`, or another file named with `--config.file`. Relative paths "
            "start from its folder. `vats-exporter check` says whether it is right.\n"
        ),
        "Editors check it while you write, if its first line is\n",
        "```yaml\n# yaml-language-server: $schema=vats-exporter.schema.json\n```\n",
        "and [the schema](vats-exporter.schema.json) lies beside it.\n",
        "## Sections\n",
        _table(made["properties"], made),
    ]
    for key, name in _sections(made):
        definition = made["$defs"][name]
        text += [
            f"## {key}\n",
            f"{_sentence(definition)}\n",
            _table(definition["properties"], made),
        ]
    return "\n".join(text)


def web_configuration() -> str:
    """Return the reference of ``--web.config.file``."""
    made = WebFileKeys.model_json_schema()
    text = [
        _MADE,
        "# Web configuration\n",
        (
            "The file that `--web.config.file` names, in exporter-toolkit's format; "
            "[the exporter's own address](../web.md) tells what of it is different here.\n"
        ),
        _table(made["properties"], made),
    ]
    for key, name in _sections(made):
        definition = made["$defs"][name]
        text += [
            f"## {key}\n",
            f"{_sentence(definition)}\n",
            _table(definition["properties"], made),
        ]
    return "\n".join(text)


def _section(key: str, definition: dict[str, Any], made: dict[str, Any]) -> list[str]:
    return [f"## {key}\n", f"{_sentence(definition)}\n", _table(definition["properties"], made)]


def _sections(made: dict[str, Any]) -> list[tuple[str, str]]:
    """Return mappings with keys of their own: their path and the name of their definition."""
    found: list[tuple[str, str]] = []

    def walk(properties: dict[str, Any], path: str) -> None:
        for key, one in properties.items():
            name = _definition(one)
            if name is None or any(name == known for _, known in found):
                continue
            is_list = one.get("type") == "array"
            here = f"{path}{key}{'[]' if is_list else ''}"
            found.append((f"`{here}`", name))
            walk(made["$defs"][name]["properties"], f"{here}.")

    walk(made["properties"], "")
    return found


def _definition(one: dict[str, Any]) -> str | None:
    """Return the name of the definition that a property refers to."""
    for part in (one, one.get("items", {}), *one.get("anyOf", []), *one.get("allOf", [])):
        if "$ref" in part:
            return str(part["$ref"]).rpartition("/")[2]
    return None


def _table(properties: dict[str, Any], made: dict[str, Any]) -> str:
    rows = ["| key | value | default | |", "| --- | --- | --- | --- |"]
    for key, one in properties.items():
        value, default = _type(one, made), _default(one)
        rows.append(f"| `{key}` | {value} | {default} | {_cell(one.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _type(one: dict[str, Any], made: dict[str, Any]) -> str:  # noqa: PLR0911 - a kind a line
    name = _definition(one)
    if name is not None:
        return "list of mappings" if one.get("type") == "array" else "mapping"
    if "anyOf" in one:
        kinds = [_type(part, made) for part in one["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])
    kind, pattern = one.get("type"), str(one.get("pattern", ""))
    if "ms" in pattern:
        return "duration"
    if "KMG" in pattern:
        return "size"
    if one.get("format") in {"path", "file-path"}:
        return "path"
    if kind == "object":
        return "mapping of texts"
    if kind == "array":
        return "list of texts"
    limits = [
        f"{words} {one[key]}"
        for key, words in (("minimum", "from"), ("maximum", "to"))
        if key in one
    ]
    names = {"integer": "whole number", "boolean": "`true` or `false`"}
    named = names.get(str(kind), "text")
    return " ".join([named, *limits])


def _default(one: dict[str, Any]) -> str:
    default = one.get("default")
    if default is None or isinstance(default, (dict, list)):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{_cell(str(default))}`" if default != "" else ""


def metrics() -> str:
    """Return the reference of the metrics."""
    text = [_MADE, "# Metrics\n"]
    for scope, title in _SCOPES.items():
        text += [f"## {title}\n", "| metric | type | labels | |", "| --- | --- | --- | --- |"]
        text += [
            f"| `{one.name}` | {one.type} | {', '.join(one.labels)} | {_cell(one.help)} |"
            for one in METRICS
            if one.scope == scope
        ]
        text.append("")
    text += [
        "## Labels\n",
        "| label | values |",
        "| --- | --- |",
        "| `account` | the name in the configuration |",
        "| `trunk` | the trunk's reference in the cabinet, such as `CaLztv`; never changes |",
        "| `phone` | eleven digits, `79161234567`; empty where the cabinet does not tell |",
        "| `name`, `line` | of `vats_trunk_info`: a person's or a place's name; the SIP line |",
        "| `flag` | `active`, `bound`, `marked_for_deletion`, `sip_device_enabled` |",
        f"| `result` | {', '.join(f'`{one}`' for one in RESULTS)} |",
        (
            "| `call` | `sign_in`, `home`, `nocache`, `permutation`, `list`, `details`, "
            "`selector`, `sign_out` |"
        ),
        "| `status` | an HTTP status or, without an answer, a result |",
        "| `pattern` | the values of a row's varying positions, such as `1100` |",
        "| `known` | `true` for a known pattern, `false` for an unknown one |",
        "",
        (
            "Besides, there are the process's own metrics, `process_*`, as every Prometheus "
            "client has them.\n"
        ),
    ]
    return "\n".join(text)


def commands() -> str:
    """Return every command's help text."""
    text = [_MADE, "# Commands\n"]

    def add(command: click.Command, path: str, parent: click.Context | None) -> None:
        settings = command.context_settings
        context = click.Context(
            command, info_name=path.rpartition(" ")[2], parent=parent, **settings
        )
        context.terminal_width = context.max_content_width = 98
        text.extend((f"## {path}\n", "```", _help(command, context), "```\n"))
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None:
                    add(inner, f"{path} {name}", context)

    add(_commands, "vats-exporter", None)
    assert all(f"## vats-exporter {name}\n" in text for name in COMMANDS)  # noqa: S101 - its own test
    return "\n".join(text)


def _help(command: click.Command, context: click.Context) -> str:
    return re.sub(r"[ \t]+$", "", command.get_help(context), flags=re.MULTILINE)


def _sentence(definition: dict[str, Any]) -> str:
    return inspect.cleandoc(str(definition.get("description", ""))).replace("``", "`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, content in render().items():
        (HERE / name).write_text(content, "utf-8")
