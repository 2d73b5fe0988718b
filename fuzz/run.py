"""Coverage-guided fuzzing with atheris: ``make fuzz SECONDS=600``.

Each target gets its share of the time in a process of its own, begins with the captures, and keeps
what it found new in ``fuzz/corpus``. A finding is left in ``fuzz/findings`` and ends the run with
status 1; once fixed, it is kept as a case in ``FOUND`` of ``fuzz/targets.py``, which tests replay.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def fuzz_one(target: str, arguments: list[str]) -> None:
    """Fuzz a target, in this process, until libFuzzer ends it."""
    import atheris  # noqa: PLC0415 - only here, so that the rest runs without it

    with atheris.instrument_imports(include=["vats_exporter"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented while imported
    atheris.Setup([sys.argv[0], *arguments], TARGETS[target])
    atheris.Fuzz()


def fuzz_all(seconds: int) -> int:
    """Fuzz every target for its share of the time; return how many failed."""
    from fuzz.targets import TARGETS, seeds  # noqa: PLC0415 - not where a target is fuzzed

    failed = 0
    findings = HERE / "findings"
    findings.mkdir(exist_ok=True)
    share = max(1, seconds // len(TARGETS))
    for target in TARGETS:
        corpus = HERE / "corpus" / target
        corpus.mkdir(parents=True, exist_ok=True)
        for seed in seeds(target):
            (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        command = [sys.executable, "-m", "fuzz.run", target, str(corpus)]
        command += [f"-max_total_time={share}", "-timeout=10", "-rss_limit_mb=2048"]
        command += [f"-artifact_prefix={findings / target}-", "-max_len=65536", "-verbosity=1"]
        ended = subprocess.run(
            command, cwd=HERE.parent, check=False, capture_output=True, text=True
        )
        lines = ended.stderr.splitlines()
        done = [line for line in lines if line.startswith("Done ")]
        covered = [line for line in lines if " cov: " in line]
        print(f"{target:18} {''.join(done) or 'FINDING'}  {covered[-1][:60] if covered else ''}")
        if ended.returncode != 0:
            failed += 1
            print("\n".join(lines[-40:]))
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    if len(sys.argv) > 2:
        fuzz_one(sys.argv[1], sys.argv[2:])
    else:
        sys.exit(min(1, fuzz_all(int(sys.argv[1]) if len(sys.argv) == 2 else 600)))
