#!/usr/bin/env python3
"""Make Grafana's files from the dashboards' source.

    python grafana/build.py            writes dashboards/, for provisioning and import
    python grafana/build.py --share    writes ../dist/grafana as well, in the form for grafana.com
    python grafana/build.py --check    says which files of dashboards/ are stale, and exits with 1

The source says what is particular to a panel (``src/vats-*.yml``), what panels of a kind share
(``src/kinds.yml``), what both dashboards use (``src/common.yml``), and every text in Russian
(``src/ru.yml``). What a trunk's flags are called comes from the exporter's table of them.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grafana.board import Builder

if TYPE_CHECKING:
    from grafana.source import Json

HERE: Final = Path(__file__).resolve().parent
DASHBOARDS: Final = HERE / "dashboards"
DIST: Final = HERE.parent / "dist" / "grafana"

BOARDS: Final = ("vats-trunks", "vats-trunk")
LANGUAGES: Final = ("en", "ru")

PLUGIN_NAMES: Final = {
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "timeseries": "Time series",
}


def for_grafana_com(dashboard: Json) -> Json:
    """Turn the provisioning form into the one that asks for its data source when imported."""
    made = copy.deepcopy(dashboard)
    asked = {"selected": True, "text": "${DS_PROMETHEUS}", "value": "${DS_PROMETHEUS}"}
    for variable in made["templating"]["list"]:
        if variable["type"] == "datasource":
            variable["current"] = asked
    inputs = {
        "description": "The Prometheus that scrapes vats-exporter",
        "label": "Prometheus",
        "name": "DS_PROMETHEUS",
        "pluginId": "prometheus",
        "pluginName": "Prometheus",
        "type": "datasource",
    }
    requires = [
        {"id": "grafana", "name": "Grafana", "type": "grafana", "version": "10.4.0"},
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


def built() -> dict[str, Json]:
    """Make every dashboard in every language, by its uid."""
    made = [Builder(board, language).build() for board in BOARDS for language in LANGUAGES]
    return {dashboard["uid"]: dashboard for dashboard in made}


def as_text(dashboard: Json) -> str:
    """Write a dashboard as its file has it."""
    return json.dumps(dashboard, ensure_ascii=False, indent=1) + "\n"


def main() -> int:
    """Write the files, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description="Make Grafana's files from the source.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    parser.add_argument("--share", action="store_true", help="write the form for grafana.com, too")
    arguments = parser.parse_args()
    files = {DASHBOARDS / f"{uid}.json": as_text(one) for uid, one in built().items()}
    if arguments.share:
        files |= {
            DIST / f"{uid}.json": as_text(for_grafana_com(one)) for uid, one in built().items()
        }
    stale = 0
    for path, text in files.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        name = path.relative_to(HERE.parent)
        if arguments.check:
            sys.stderr.write(f"{name} is stale: run `make dashboard`\n")
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}\n")
    return stale


if __name__ == "__main__":
    sys.exit(main())
