"""A dashboard's queries, filled in as Grafana's documentation says it does."""

from __future__ import annotations

from typing import Any

import pytest

from grafana.queries import Query, View


def view(*variables: dict[str, Any], **chosen: str | list[str]) -> View:
    """A dashboard without panels, for six hours."""
    dashboard = {
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": [],
    }
    return View(dashboard, 1_000_000, 1_021_600, chosen)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("x[$__range]", "x[21600s]"),
        ("time() - $__range_s", "time() - 21600"),
        ("x offset $__interval", "x offset 60s"),
        ("rate(x[$__rate_interval])", "rate(x[240s])"),
        ("x > ${__from:date:seconds}", "x > 1000000"),
        ('x{job=~"$job"}', 'x{job=~".+"}'),
        ("x{phone=~`.*${phone:regex}.*`}", "x{phone=~`.*.*`}"),
        ('label_replace(x, "a", "$1", "b", "(.+)")', 'label_replace(x, "a", "$1", "b", "(.+)")'),
    ],
)
def test_grafanas_variables_are_filled_in(text: str, filled: str) -> None:
    assert view().fill(text, 60) == filled


def test_several_chosen_values_are_alternatives() -> None:
    assert view(account=["a", "b"]).fill('x{account=~"$account"}', 60) == 'x{account=~"(a|b)"}'


def test_a_variable_of_query_results_is_asked_for_and_taken_apart() -> None:
    trunk = {
        "type": "query",
        "name": "trunk",
        "query": {"query": "query_result(topk(1, x))"},
        "regex": '/shown="(?<text>.*?)",\\s*trunk="(?<value>[^"]*)"/',
        "includeAll": False,
        "allValue": None,
    }
    found = [{"metric": {"shown": "79161234567 Касса", "trunk": "CaLztv"}, "value": [0, "1"]}]
    (query,) = view(trunk).queries(lambda _: found)
    assert query == Query("variable trunk", "topk(1, x)")
    assert view().found(trunk, found) == "CaLztv"
    assert view().found({**trunk, "includeAll": True}, found) == ["CaLztv"]


def test_a_panel_asks_for_as_many_points_as_it_is_wide() -> None:
    panel = {
        "title": "Trunks",
        "gridPos": {"w": 12},
        "targets": [{"refId": "A", "expr": "x", "instant": False}],
    }
    week = View({}, 0, 604_800)
    assert list(week.panel(panel, inside=False)) == [Query("Trunks A", "x", 756)]
    assert list(view().panel(panel, inside=True)) == [Query("Trunks A", "x", 60, inside=True)]
