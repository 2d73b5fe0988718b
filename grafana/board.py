"""One dashboard in Grafana's classic format, made from its source.

It knows that format, schema 39 as Grafana 10.4 has it, and no metric.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from grafana.source import (
    SourceError,
    expand,
    flag_mappings,
    flag_overrides,
    flag_pieces,
    read,
    translate,
)

if TYPE_CHECKING:
    from typing import Any

    from grafana.source import Json

COLUMNS: Final = 24
MIN_STEP: Final = "1m"
"""The least step of a query, which is also what ``$__rate_interval`` takes for the scrape interval.

The exporter is meant to be scraped once a minute, and a data source that was not told so assumes
15 s: then a rate would look at one sample and draw nothing.
"""

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
KEPT: Final = ("datasource", "job", "instance")
RUNBOOKS: Final = "https://github.com/vats-exporter/vats-exporter/blob/main/docs/runbooks"


def _thresholds(steps: list[Any]) -> Json:
    """``[gray, {1: red}]``: red from 1 on, gray below and where there is no value."""
    base, *others = steps
    made: list[Json] = [{"color": _color(base), "value": None}]
    for step in others:
        made += [{"color": _color(color), "value": value} for value, color in step.items()]
    return {"mode": "absolute", "steps": made}


def _color(name: str) -> str:
    return "#808080" if name == "gray" else name


def _mappings(shown: Json) -> list[Json]:
    """By value; ``nan`` stands for a missing one as well."""
    values, made = {}, []
    for index, (value, one) in enumerate(shown.items()):
        result = {key: _color(say) if key == "color" else say for key, say in one.items()}
        result["index"] = index
        if value == "nan":
            made.append({"type": "special", "options": {"match": "null+nan", "result": result}})
        else:
            values[str(value)] = result
    return [{"type": "value", "options": values}, *made] if values else made


def _override(matcher: str, name: str, properties: Json) -> Json:
    return {
        "matcher": {"id": matcher, "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _series_override(name: str, say: Json) -> Json:
    """By its query's letter, where that is what it is called, else by the series' legend."""
    properties: Json = {}
    if "color" in say:
        properties["color"] = {"mode": "fixed", "fixedColor": _color(say["color"])}
    if "thresholds" in say:
        properties["thresholds"] = _thresholds(say["thresholds"])
    if "title" in say:
        properties["displayName"] = say["title"]
    if "unit" in say:
        properties["unit"] = say["unit"]
    if "axis" in say:
        properties["custom.axisPlacement"] = say["axis"]
    return _override("byFrameRefID" if len(name) == 1 else "byName", name, properties)


class Builder:
    """Makes one dashboard in one language."""

    def __init__(self, board: str, language: str) -> None:
        source = {**read("common.yml"), "board": read(f"{board}.yml")}
        if language != "en":
            source = translate(source, read(f"{language}.yml"))
        self.source: Json = source["board"]
        self.kinds = read("kinds.yml")
        self.overrides: Json = {**source["overrides"], "flags": flag_overrides(language)}
        self.variables: Json = source["variables"]
        flags = flag_mappings(language, source["flag_colors"])
        self.mappings: Json = {**source["mappings"], **flags}
        self.mappings["flag_states"] |= source["mappings"]["flag_states"]
        self.pieces = {
            **source["pieces"],
            **source["words"],
            **flag_pieces(language),
            **self.source["pieces"],
        }
        self.suffix = "" if language == "en" else f"-{language}"
        self.runbook = ".md" if language == "en" else f".{language}.md"
        self._number = 0

    def build(self) -> Json:
        """Make the dashboard, in the form for provisioning."""
        # No key "editable": Grafana then lets people edit, and its linter, which wants no dashboard
        # kept in a repository to say that it is editable, is content as well.
        return {
            "annotations": {"list": self._annotations()},
            "description": self.source["description"],
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "id": None,
            "links": [self._board_link(link) for link in self.source.get("links", [])],
            "liveNow": False,
            "panels": self._panels(),
            "refresh": self.source["refresh"],
            "schemaVersion": 39,
            "tags": self.source["tags"],
            "templating": {"list": [self._variable(one) for one in self.source["variables"]]},
            "time": self.source["time"],
            "timepicker": {"refresh_intervals": ["30s", "1m", "5m", "15m", "1h"]},
            "timezone": "browser",
            "title": self.source["title"],
            "uid": self.source["uid"] + self.suffix,
            "version": 1,
            "weekStart": "",
        }

    # --- panels ---

    def _panels(self) -> list[Json]:
        grid, made = _Grid(), []
        for panel in self.source["panels"]:
            if panel["kind"] != "row":
                made.append(self._panel(panel, grid.place(panel["w"], panel["h"])))
                continue
            row = {"collapsed": True, "gridPos": grid.place(COLUMNS, 1), "id": self._next()}
            inside = [self._panel(one, grid.place(one["w"], one["h"])) for one in panel["panels"]]
            made.append({**row, "panels": inside, "title": panel["title"], "type": "row"})
        return made

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _panel(self, panel: Json, grid: Json) -> Json:
        if panel["kind"] not in self.kinds:
            raise SourceError(f"panel {panel['title']!r}: no kind {panel['kind']!r}")
        kind = self.kinds[panel["kind"]]
        made = {
            "datasource": DATASOURCE,
            "description": panel["description"],
            "fieldConfig": self._field_config(panel),
            "gridPos": grid,
            "id": self._next(),
            "links": [],
            "options": {**kind["options"], **panel.get("options", {})},
            "targets": [self._target(panel, target) for target in panel["targets"]],
            "title": panel["title"],
            "transformations": _transformations(panel),
            "transparent": False,
            "type": kind.get("type", panel["kind"]),
        }
        if panel["kind"] == "table":
            made["options"]["sortBy"] = [
                {"displayName": _title(panel, field), "desc": order == "desc"}
                for field, order in panel.get("sort", {}).items()
            ]
        points = panel.get("maxDataPoints", kind.get("maxDataPoints"))
        return made if points is None else {**made, "maxDataPoints": points}

    def _target(self, panel: Json, target: Json) -> Json:
        now = panel["kind"] in {"stat", "table"} and not panel.get("range")
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "exemplar": False,
            "expr": expand(target["expr"], {**self.pieces, **target.get("with", {})}),
            "format": "table" if panel["kind"] == "table" else "time_series",
            "instant": now,
            "interval": MIN_STEP,
            "legendFormat": target.get("legend", ""),
            "range": not now,
            "refId": target["ref"],
        }

    def _field_config(self, panel: Json) -> Json:
        defaults: Json = {
            **copy.deepcopy(self.kinds[panel["kind"]]["fieldConfig"]["defaults"]),
            "links": [],
            "mappings": _mappings(self.mappings[panel["mappings"]] if "mappings" in panel else {}),
            "noValue": panel["noValue"],
            "thresholds": _thresholds(panel.get("thresholds", ["text"])),
            "unit": panel.get("unit", "locale"),
        }
        if "decimals" in panel:
            defaults["decimals"] = panel["decimals"]
        series = panel.get("overrides", {})
        series = self.overrides[series] if isinstance(series, str) else series
        overrides = [
            _series_override(expand(name, self.pieces), say) for name, say in series.items()
        ]
        overrides += [
            _override("byName", column["title"], self._column(column))
            for column in panel.get("columns", [])
        ]
        return {"defaults": defaults, "overrides": overrides}

    def _column(self, column: Json) -> Json:
        # Without the unit "string" a phone would be taken for a number, and written as one.
        unit = "locale" if column["field"].startswith("Value") else "string"
        properties: Json = {"noValue": column.get("noValue", "—"), "unit": column.get("unit", unit)}
        if "decimals" in column:
            properties["decimals"] = column["decimals"]
        if "mappings" in column:
            properties["mappings"] = _mappings(self.mappings[column["mappings"]])
        if "cell" in column:
            properties["custom.cellOptions"] = {"type": column["cell"]}
        if "width" in column:
            properties["custom.width"] = column["width"]
        if "least" in column:
            properties["custom.minWidth"] = column["least"]
        if "link" in column:
            properties["links"] = [self._link(column["link"])]
        return properties

    def _link(self, target: str) -> Json:
        """Where a click on a cell leads: ``trunk``, ``account`` or ``runbook``."""
        if target == "runbook":
            url = f"{RUNBOOKS}/${{__value.raw}}{self.runbook}"
            return {"title": self.pieces["to_runbook"], "url": url, "targetBlank": True}
        board = "vats-trunk" if target == "trunk" else "vats-trunks"
        names = ("account", "trunk") if target == "trunk" else ("account",)
        row = "".join(f"&var-{name}=${{__data.fields.{name}:percentencode}}" for name in names)
        return {
            "title": self.pieces[f"to_{target}"],
            "url": self._url(board) + row,
            "targetBlank": False,
        }

    def _url(self, board: str) -> str:
        query = "&".join(f"${{{name}:queryparam}}" for name in KEPT)
        return f"/d/{board}{self.suffix}?${{__url_time_range}}&{query}"

    # --- the rest ---

    def _board_link(self, link: Json) -> Json:
        return {
            "icon": "external link",
            "includeVars": True,
            "keepTime": True,
            "tags": [],
            "targetBlank": False,
            "title": link["title"],
            "type": "link",
            "url": f"/d/{link['board']}{self.suffix}",
        }

    def _variable(self, source: str | Json) -> Json:
        variable: Json = (
            {"name": source, **self.variables[source]} if isinstance(source, str) else source
        )
        made: Json = {
            "description": variable.get("description", ""),
            "hide": 2 if variable.get("hidden") else 0,
            "label": variable["label"],
            "name": variable["name"],
            # What is asked for anew each time is no choice of anybody's to be kept in the address.
            "skipUrlSync": "regex" in variable and bool(variable.get("hidden")),
            "type": variable["kind"],
        }
        if variable["kind"] == "textbox":
            empty = {"selected": True, "text": "", "value": ""}
            return {**made, "current": empty, "options": [empty], "query": ""}
        many = bool(variable.get("all"))
        made |= {"current": {}, "includeAll": many, "multi": many, "options": []}
        if variable["kind"] == "datasource":
            return {**made, "query": variable["query"], "refresh": 1, "regex": ""}
        query = expand(variable["query"], self.pieces)
        if many:
            made["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
            # What is a list of its own stands for All, else whatever there is.
            made["allValue"] = None if "regex" in variable else ".+"
        return {
            **made,
            "datasource": DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": f"variable-{variable['name']}"},
            "refresh": variable.get("refresh", 2),
            "regex": variable.get("regex", ""),
            "sort": 0 if variable.get("hidden") else 1,
        }

    def _annotations(self) -> list[Json]:
        builtin = {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        }
        return [builtin, *map(self._annotation, self.source["annotations"])]

    def _annotation(self, one: Json) -> Json:
        """One whose values are the times, in milliseconds."""
        expr = expand(one["expr"], {**self.pieces, **one.get("with", {})})
        target = {"editorMode": "code", "expr": expr, "instant": False, "interval": MIN_STEP}
        return {
            "datasource": DATASOURCE,
            "enable": True,
            "expr": expr,  # older Grafanas read it here, newer ones from the target
            "hide": False,
            "iconColor": one["color"],
            "name": one["label"],
            "step": MIN_STEP,
            "tagKeys": "account",
            "target": {**target, "legendFormat": "", "range": True, "refId": "Anno"},
            "textFormat": one.get("text", ""),
            "titleFormat": one["title"],
            "useValueForTime": True,
        }


def _title(panel: Json, field: str) -> str:
    (title,) = [column["title"] for column in panel["columns"] if column["field"] == field]
    return str(title)


def _transformations(panel: Json) -> list[Json]:
    """Make one table of a table panel's answers, its columns in order and named."""
    if panel["kind"] != "table":
        return []
    made: list[Json] = []
    if panel.get("merge"):
        made.append({"id": "merge", "options": {}})
    if "group" in panel:
        fields = {name: {"aggregations": [], "operation": "groupby"} for name in panel["group"]}
        made.append({"id": "groupBy", "options": {"fields": fields}})
    if "order" in panel:
        made.append({"id": "sortBy", "options": {"fields": {}, "sort": [panel["order"]]}})
    columns = panel["columns"]
    organize = {
        "excludeByName": dict.fromkeys(["Time", *panel.get("hide", [])], True),
        "includeByName": {},
        "indexByName": {column["field"]: index for index, column in enumerate(columns)},
        "renameByName": {column["field"]: column["title"] for column in columns},
    }
    return [*made, {"id": "organize", "options": organize}]


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
