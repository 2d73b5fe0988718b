#!/usr/bin/env python3
"""Make Grafana's files from the dashboard's source.

    python grafana/build.py           writes them
    python grafana/build.py --check   says which are stale, and ends with 1 if any is

The source says what is particular to a panel (``src/vats-trunks.yml``) and what panels of a kind
share (``src/kinds.yml``). This script knows the rest of Grafana's classic dashboard format, and no
metric. Two forms come out:

- ``dashboards/vats-trunks.json`` for provisioning: data source by variable, nothing to fill in;
- ``dist/vats-trunks.grafana-com.json`` for grafana.com and the import dialog, which asks for the
  data source (``__inputs``) and puts it into the same variable.

The format is that of schema 39; older Grafanas from 9.0 on read it, newer ones migrate it.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import yaml

Json = dict[str, Any]

HERE: Final = Path(__file__).resolve().parent
SOURCE: Final = HERE / "src" / "vats-trunks.yml"
KINDS: Final = HERE / "src" / "kinds.yml"
PROVISIONED: Final = HERE / "dashboards" / "vats-trunks.json"
GRAFANA_COM: Final = HERE / "dist" / "vats-trunks.grafana-com.json"

SCHEMA_VERSION: Final = 39
PLUGIN_NAMES: Final = {
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "timeseries": "Time series",
}
COLUMNS: Final = 24

MIN_STEP: Final = "1m"
"""The least step of a query, which is also what ``$__rate_interval`` takes for the scrape interval.

The exporter is meant to be scraped once a minute, and a data source that was not told so assumes
15 s: then a rate would look at one sample and draw nothing.
"""

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class SourceError(Exception):
    """The source says something that this script does not understand."""


# --- queries -----------------------------------------------------------------------------------


def expand(expr: str, pieces: dict[str, str]) -> str:
    """Put the pieces of PromQL into a query.

    Args:
        expr: may hold ``<<name>>``.
        pieces: by name; they may hold further ones.

    Raises:
        SourceError: a name is unknown, or a piece holds itself.
    """
    for _ in range(len(pieces) + 1):
        if "<<" not in expr:
            return " ".join(expr.split())
        expr = re.sub(r"<<(\w+)>>", lambda found: _piece(found[1], pieces), expr)
    raise SourceError(f"pieces that hold themselves, or a stray <<: {expr[:80]}")


def _piece(name: str, pieces: dict[str, str]) -> str:
    try:
        return pieces[name]
    except KeyError:
        raise SourceError(f"no piece is called {name!r}") from None


def _targets(panel: Json, pieces: dict[str, str]) -> list[Json]:
    instant = panel["kind"] in {"stat", "table"}
    return [
        {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "exemplar": False,
            "expr": expand(target["expr"], pieces),
            "format": "table" if panel["kind"] == "table" else "time_series",
            "instant": instant,
            "interval": MIN_STEP,
            "legendFormat": target.get("legend", ""),
            "range": not instant,
            "refId": target["ref"],
        }
        for target in panel["targets"]
    ]


# --- fields ------------------------------------------------------------------------------------


def _thresholds(steps: list[Any]) -> Json:
    """``[green, {1: red}]``: green below 1, red from 1 on."""
    base, *others = steps
    made: list[Json] = [{"color": base, "value": None}]
    for step in others:
        made += [{"color": color, "value": value} for value, color in step.items()]
    return {"mode": "absolute", "steps": made}


def _mappings(named: str | None, source: Json) -> list[Json]:
    if named is None:
        return []
    options = {
        str(value): {**shown, "index": index}
        for index, (value, shown) in enumerate(source["mappings"][named].items())
    }
    return [{"type": "value", "options": options}]


def _override(matcher: str, name: str, properties: Json) -> Json:
    return {
        "matcher": {"id": matcher, "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _overrides(panel: Json, source: Json) -> list[Json]:
    made = []
    for name, say in panel.get("overrides", {}).items():
        if "thresholds" in say:
            properties = {"thresholds": _thresholds(say["thresholds"])}
            made.append(_override("byFrameRefID", name, properties))
        else:
            properties = {"color": {"mode": "fixed", "fixedColor": say["color"]}}
            made.append(_override("byName", name, properties))
    made += [
        _override("byName", column["title"], _column(column, source))
        for column in panel.get("columns", [])
    ]
    return made


def _column(column: Json, source: Json) -> Json:
    properties: Json = {"noValue": column.get("noValue", "—")}
    for key in ("unit", "decimals"):
        if key in column:
            properties[key] = column[key]
    if "mappings" in column:
        properties["mappings"] = _mappings(column["mappings"], source)
    if "cell" in column:
        properties["custom.cellOptions"] = {"type": column["cell"]}
    if "width" in column:
        properties["custom.width"] = column["width"]
    if column.get("link"):
        kept = ("datasource", "job", "instance", "account")
        query = "&".join(f"${{{name}:queryparam}}" for name in kept)
        url = f"/d/{source['uid']}?${{__url_time_range}}&{query}&var-phone=${{__value.raw}}"
        properties["links"] = [{"title": "Show this trunk alone", "url": url, "targetBlank": False}]
    return properties


def _field_config(panel: Json, source: Json) -> Json:
    defaults: Json = {
        **copy.deepcopy(source["kinds"][panel["kind"]]["fieldConfig"]["defaults"]),
        "links": [],
        "mappings": _mappings(panel.get("mappings"), source),
        "noValue": panel["noValue"],
        "thresholds": _thresholds(panel.get("thresholds", ["text"])),
        "unit": panel["unit"],
    }
    if "decimals" in panel:
        defaults["decimals"] = panel["decimals"]
    return {"defaults": defaults, "overrides": _overrides(panel, source)}


# --- panels ------------------------------------------------------------------------------------


def _options(panel: Json, source: Json) -> Json:
    made = {**source["kinds"][panel["kind"]]["options"], **panel.get("options", {})}
    if panel["kind"] == "table":
        made["sortBy"] = [
            {"displayName": name, "desc": order == "desc"} for name, order in panel["sort"].items()
        ]
    return made


def _transformations(panel: Json) -> list[Json]:
    """Make one table of a table panel's answers, its columns in order and named."""
    if panel["kind"] != "table":
        return []
    columns = panel["columns"]
    hidden = ["Time", *panel.get("hide", [])]
    made: list[Json] = []
    if "join" in panel:
        made.append({"id": "merge", "options": {}})
    organize = {
        "excludeByName": dict.fromkeys(hidden, True),
        "includeByName": {},
        "indexByName": {column["field"]: index for index, column in enumerate(columns)},
        "renameByName": {column["field"]: column["title"] for column in columns},
    }
    return [*made, {"id": "organize", "options": organize}]


def _panel(panel: Json, number: int, grid: Json, source: Json) -> Json:
    if panel["kind"] not in source["kinds"]:
        raise SourceError(f"panel {panel['title']!r}: no kind {panel['kind']!r}")
    made = {
        "datasource": DATASOURCE,
        "description": panel["description"],
        "fieldConfig": _field_config(panel, source),
        "gridPos": grid,
        "id": number,
        "links": [],
        "options": _options(panel, source),
        "targets": _targets(panel, source["pieces"]),
        "title": panel["title"],
        "transformations": _transformations(panel),
        "transparent": False,
        "type": "timeseries" if panel["kind"] == "bars" else panel["kind"],
    }
    if "maxDataPoints" in panel:
        made["maxDataPoints"] = panel["maxDataPoints"]
    return made


class _Grid:
    """Hands out places from left to right, and from top to bottom."""

    def __init__(self) -> None:
        self.x = self.top = self.bottom = 0

    def place(self, width: int, height: int) -> Json:
        if self.x + width > COLUMNS:
            self.x, self.top = 0, self.bottom
        grid = {"h": height, "w": width, "x": self.x, "y": self.top}
        self.x += width
        self.bottom = max(self.bottom, self.top + height)
        return grid


def _panels(source: Json) -> list[Json]:
    grid, made, number = _Grid(), [], 0
    for panel in source["panels"]:
        number += 1
        if panel["kind"] != "row":
            made.append(_panel(panel, number, grid.place(panel["w"], panel["h"]), source))
            continue
        row: Json = {
            "collapsed": True,
            "gridPos": grid.place(COLUMNS, 1),
            "id": number,
            "panels": [],
            "title": panel["title"],
            "type": "row",
        }
        for inner in panel["panels"]:
            number += 1
            place = grid.place(inner["w"], inner["h"])
            row["panels"].append(_panel(inner, number, place, source))
        made.append(row)
    return made


# --- the rest of the dashboard -----------------------------------------------------------------


def _variable(variable: Json) -> Json:
    common: Json = {
        "description": variable.get("description", ""),
        "hide": 2 if variable.get("hidden") else 0,
        "label": variable["label"],
        "name": variable["name"],
        "skipUrlSync": False,
        "type": variable["kind"],
    }
    if variable["kind"] == "datasource":
        return {
            **common,
            "current": {},
            "includeAll": False,
            "multi": False,
            "options": [],
            "query": variable["query"],
            "refresh": 1,
            "regex": "",
        }
    if variable["kind"] == "textbox":
        empty = {"selected": True, "text": "", "value": ""}
        return {**common, "current": empty, "options": [empty], "query": ""}
    return {
        **common,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "definition": variable["query"],
        "includeAll": True,
        "multi": True,
        "options": [],
        "query": {"query": variable["query"], "refId": f"variable-{variable['name']}"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def _annotations(source: Json) -> list[Json]:
    builtin = {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }
    own = [
        {
            "datasource": DATASOURCE,
            "enable": True,
            "expr": expand(annotation["expr"], source["pieces"]),
            "hide": False,
            "iconColor": annotation["color"],
            "name": annotation["name"],
            "step": MIN_STEP,
            "tagKeys": annotation["tags"],
            "textFormat": annotation["text"],
            "titleFormat": annotation["title"],
            "useValueForTime": False,
        }
        for annotation in source["annotations"]
    ]
    return [builtin, *own]


def build(source: Json) -> Json:
    """Make the provisioning form.

    Args:
        source: as :func:`read_source` reads it.

    Raises:
        SourceError: the source is not understood.
    """
    # No key "editable": Grafana then lets people edit, and its linter, which wants no dashboard
    # kept in a repository to say that it is editable, is content as well.
    return {
        "annotations": {"list": _annotations(source)},
        "description": source["description"],
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [],
        "liveNow": False,
        "panels": _panels(source),
        "refresh": source["refresh"],
        "schemaVersion": SCHEMA_VERSION,
        "tags": source["tags"],
        "templating": {"list": [_variable(variable) for variable in source["variables"]]},
        "time": source["time"],
        "timepicker": {"refresh_intervals": ["30s", "1m", "5m", "15m", "1h"]},
        "timezone": "browser",
        "title": source["title"],
        "uid": source["uid"],
        "version": 1,
        "weekStart": "",
    }


def for_grafana_com(dashboard: Json) -> Json:
    """Turn the provisioning form into the one that asks for its data source when imported."""
    made = copy.deepcopy(dashboard)
    for variable in made["templating"]["list"]:
        if variable["type"] == "datasource":
            variable["current"] = {
                "selected": True,
                "text": "${DS_PROMETHEUS}",
                "value": "${DS_PROMETHEUS}",
            }
    inputs = {
        "description": "The Prometheus that scrapes vats-exporter",
        "label": "Prometheus",
        "name": "DS_PROMETHEUS",
        "pluginId": "prometheus",
        "pluginName": "Prometheus",
        "type": "datasource",
    }
    requires = [
        {"id": "grafana", "name": "Grafana", "type": "grafana", "version": "9.0.0"},
        {"id": "prometheus", "name": "Prometheus", "type": "datasource", "version": "1.0.0"},
    ]
    requires += [
        {"id": kind, "name": PLUGIN_NAMES[kind], "type": "panel", "version": ""}
        for kind in sorted({panel["type"] for panel in all_panels(made)})
    ]
    return {"__inputs": [inputs], "__elements": {}, "__requires": requires, **made}


def all_panels(dashboard: Json) -> list[Json]:
    """List a dashboard's panels, those in rows as well, the rows themselves not."""
    made: list[Json] = []
    for panel in dashboard["panels"]:
        made += panel["panels"] if panel["type"] == "row" else [panel]
    return made


def read_source() -> Json:
    """Read the source, with the panel kinds in it under ``kinds``."""
    source: Json = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return {**source, "kinds": yaml.safe_load(KINDS.read_text(encoding="utf-8"))}


def built_files() -> dict[Path, str]:
    """Make every file's text from the source, by path."""
    dashboard = build(read_source())
    return {
        path: json.dumps(form, ensure_ascii=False, indent=2) + "\n"
        for path, form in ((PROVISIONED, dashboard), (GRAFANA_COM, for_grafana_com(dashboard)))
    }


def main() -> int:
    """Write the files, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description="Make Grafana's files from the source.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    check = parser.parse_args().check
    stale = 0
    for path, text in built_files().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        name = path.relative_to(HERE.parent)
        if check:
            sys.stderr.write(f"{name} is stale: run `make dashboard`\n")
            stale = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}\n")
    return stale


if __name__ == "__main__":
    sys.exit(main())
