"""Make the manifests from the chart, so that both are the same: ``make manifests``."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
CHART: Final = HERE.parent / "helm"

OF_HELM: Final = re.compile(
    r"^ +annotations:\n +checksum/.*\n"
    r"|^ +(helm\.sh/chart|app\.kubernetes\.io/(instance|version|managed-by)): .*\n",
    re.MULTILINE,
)
"""What a chart needs, and kustomize has its own ways for."""


def render(helm: str) -> dict[str, str]:
    """Return the manifests by file name.

    Args:
        helm: the program.
    """
    with tempfile.TemporaryDirectory() as folder:
        runpy.run_path(str(CHART / "build.py"))["build"](Path(folder) / "chart")
        ended = subprocess.run(
            [helm, "template", "vats-exporter", f"{folder}/chart", "-f", HERE / "values.yaml"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    head = "# Made from ../helm by build.py; change it there.\n"
    manifests = {}
    for document in ended.stdout.split("---\n# Source: ")[1:]:
        name = document.partition("\n")[0].rpartition("/")[2]
        if name != "configmap.yaml":  # kustomization.yaml makes it from vats-exporter.yml
            manifests[name] = head + OF_HELM.sub("", document.partition("\n")[2])
    manifests["servicemonitor.yaml"] = manifests.pop("monitor.yaml")
    return manifests


if __name__ == "__main__":
    for name, text in render(sys.argv[1]).items():
        (HERE / name).write_text(text, "utf-8")
