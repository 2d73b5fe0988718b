"""Make the chart: ``make chart``.

This folder is the chart's source. What others need as well is taken from where it is kept: the
rules of Prometheus, the dashboards of Grafana, the keys of ``vats-exporter.yml``.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
RULES: Final = ROOT / "deploy" / "prometheus" / "rules"
DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
KEYS: Final = ROOT / "docs" / "reference" / "vats-exporter.schema.json"


def build(folder: Path) -> None:
    """Write the chart into a folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.py", "*.ru.md", "values.schema.json")
    shutil.copytree(HERE, folder, ignore=ignored)
    shutil.copy(ROOT / "LICENSE", folder)
    text = json.dumps(values_schema(), indent=2, ensure_ascii=False)
    (folder / "values.schema.json").write_text(text + "\n", "utf-8")
    for name, sources in (
        ("rules", RULES.glob("*.yml")),
        ("dashboards", DASHBOARDS.glob("*.json")),
    ):
        files = folder / "files" / name
        files.mkdir(parents=True)
        for source in sources:
            shutil.copy(source, files)
        if not any(files.iterdir()):
            raise FileNotFoundError(f"no {name} to put into the chart: `make {name}`")


def values_schema() -> dict[str, Any]:
    """Return the schema of the values, with the keys of ``vats-exporter.yml`` in it."""
    schema: dict[str, Any] = json.loads((HERE / "values.schema.json").read_text("utf-8"))
    # The regular expressions of Go, which Helm is written in, cannot look ahead.
    file = json.loads(re.sub(r"\(\?=[^)]*\)", "", KEYS.read_text("utf-8")))
    definitions = file.pop("$defs")
    account = definitions.pop(file["properties"].pop("accounts")["items"]["$ref"].split("/")[-1])
    keys = {k: v for k, v in account["properties"].items() if k not in {"name", "password"}}
    keys["login"]["type"] = "string"  # Helm would drop the plus of a number
    keys["passwordSecret"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"$ref": "#/$defs/Name"},
            "key": {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"},
        },
    }
    shape = {"type": "object", "additionalProperties": False}
    schema["$defs"] |= definitions
    schema["$defs"]["Account"] = {**shape, "required": ["login"], "properties": keys}
    schema["$defs"]["Config"] = {**shape, "properties": file["properties"]}
    return schema


if __name__ == "__main__":
    build(Path(sys.argv[1]))
