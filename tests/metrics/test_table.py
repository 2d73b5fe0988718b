"""The table of metrics, against the conventions of Prometheus."""

from __future__ import annotations

import re

import pytest

from vats_exporter.metrics.table import METRICS, Metric

LABELS = {"trunk": ("account", "trunk", "phone"), "account": ("account",)}


def test_no_two_metrics_share_a_name() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_prometheus_wants_it(metric: Metric) -> None:
    assert re.fullmatch(r"vats_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") is (metric.type == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|count|sum|bucket)$", metric.name)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_explained_in_one_line_and_has_its_scopes_labels(metric: Metric) -> None:
    assert re.fullmatch(r"[A-Z][^\n]*\.", metric.help)
    usual = LABELS.get(metric.scope, ())
    assert metric.labels[: len(usual)] == usual
    assert len(set(metric.labels)) == len(metric.labels)
