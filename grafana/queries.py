"""What a dashboard asks Prometheus, filled in as Grafana does it: for tests and benchmarks.

It knows of Grafana's variables what these dashboards use, and asks nobody itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Ask = Callable[["Query"], list[dict[str, Any]]]
    """Answers a query of one moment with Prometheus' result."""

MIN_STEP: Final = 60.0
WIDTH: Final = 1600
"""Pixels of a browser's window; a panel asks for as many points as it is wide."""


@dataclass(frozen=True)
class Query:
    """A query as Prometheus gets it.

    Attributes:
        where: the panel's title and the query's letter, or what else asks.
        expr: PromQL, everything filled in.
        step: seconds between two points; ``None`` for a query of one moment.
        inside: in a row that is collapsed until somebody opens it.
    """

    where: str
    expr: str
    step: float | None = None
    inside: bool = False


@dataclass(frozen=True)
class View:
    """A dashboard as somebody looks at it.

    Attributes:
        dashboard: its JSON.
        start: of the time range, in seconds since the epoch.
        end: likewise.
        chosen: the variables that are not left as they are, by name: a value, or several.
        scrape: seconds that Grafana takes for the scrape interval.
    """

    dashboard: Mapping[str, Any]
    start: float
    end: float
    chosen: Mapping[str, str | list[str]] = field(default_factory=dict)
    scrape: float = MIN_STEP

    def queries(self, ask: Ask) -> Iterator[Query]:
        """Give every query of a refresh: variables', annotations', panels'.

        Args:
            ask: answers the variables' queries, which the others depend on.
        """
        view = self
        for variable in self.dashboard["templating"]["list"]:
            if variable["type"] != "query":
                continue
            query = view.variable(variable)
            if query is None:
                if variable["name"] not in view.chosen:
                    all_value = variable["allValue"] or ".+"
                    view = replace(view, chosen={**view.chosen, variable["name"]: all_value})
                continue
            yield query
            found = view.found(variable, ask(query))
            view = replace(view, chosen={variable["name"]: found, **view.chosen})
        for annotation in self.dashboard["annotations"]["list"]:
            if "expr" in annotation:
                expr = view.fill(annotation["expr"], view.step(None))
                yield Query(f"annotation {annotation['name']}", expr, view.step(None))
        for panel in self.dashboard["panels"]:
            for one in panel.get("panels", [panel]):
                yield from view.panel(one, inside="panels" in panel)

    def panel(self, panel: Mapping[str, Any], *, inside: bool) -> Iterator[Query]:
        """Give a panel's queries."""
        step = self.step(panel)
        for target in panel.get("targets", []):
            where = f"{panel['title']} {target['refId']}"
            expr = self.fill(target["expr"], step)
            yield Query(where, expr, None if target["instant"] else step, inside)

    def variable(self, variable: Mapping[str, Any]) -> Query | None:
        """Give the query of a variable that PromQL answers; ``None`` for one that lists labels."""
        query = re.fullmatch(r"query_result\((.+)\)", variable["query"]["query"])
        if query is None:
            return None
        return Query(f"variable {variable['name']}", self.fill(query[1], self.scrape))

    def found(self, variable: Mapping[str, Any], result: list[dict[str, Any]]) -> str | list[str]:
        """Return the values of such a variable, all of them where all are chosen."""
        lines = [
            "{" + ",".join(f'{k}="{v}"' for k, v in sorted(one["metric"].items())) + "}"
            for one in result
        ]
        # Grafana takes JavaScript's, which writes the names of groups differently.
        pattern = variable["regex"].strip("/").replace("(?<", "(?P<")
        matches = [match for line in lines if (match := re.search(pattern, line))]
        values = [str(match.groupdict().get("value") or match[1]) for match in matches]
        return values if variable["includeAll"] else (values or [""])[0]

    def step(self, panel: Mapping[str, Any] | None) -> float:
        """Seconds between two points of a panel."""
        points = WIDTH
        if panel is not None:
            points = panel.get("maxDataPoints") or WIDTH * panel["gridPos"]["w"] // 24
        return max(self.scrape, (self.end - self.start) // points)

    def fill(self, text: str, step: float) -> str:
        """Put the variables' values into a query."""
        span = f"{self.end - self.start:.0f}"
        known: dict[str, str | list[str]] = {
            "__interval": f"{step:.0f}s",
            "__rate_interval": f"{max(step + self.scrape, 4 * self.scrape):.0f}s",
            "__range": f"{span}s",
            "__range_s": span,
            "__from": f"{self.start:.0f}",
            "job": ".+",
            "instance": ".+",
            "phone": "",
            **self.chosen,
        }

        def value(found: re.Match[str]) -> str:
            chosen = known[found["name"] or found["braced"]]
            return chosen if isinstance(chosen, str) else f"({'|'.join(chosen)})"

        return re.sub(r"\$(?P<name>[a-z_]+)|\$\{(?P<braced>\w+)(:[a-z:]+)?\}", value, text)
