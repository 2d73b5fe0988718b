"""Makes ``prometheusrule.yaml`` of the rules, so that both are the same: ``make rules``."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
RULES = HERE.parent / "prometheus" / "rules" / "vats-exporter.rules.yml"

HEAD = """\
# Made of ../prometheus/rules/vats-exporter.rules.yml by build.py; change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: vats-exporter
spec:
"""


def render() -> str:
    """Return the manifest."""
    return HEAD + "".join(
        f"  {line}" if line.strip() else line
        for line in RULES.read_text("utf-8").splitlines(keepends=True)
    )


if __name__ == "__main__":
    (HERE / "prometheusrule.yaml").write_text(render(), "utf-8")
