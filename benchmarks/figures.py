"""Measure the figures of the documentation again.

    python benchmarks/figures.py DATA OUT [PATTERN] [--option SCRIPT=ARG ...]

DATA is a folder with music, models and labels: `audio/music`, `audio/formats`,
`audio/bad`, `audio/cases`, `models` and `labels`. Each script whose name
matches PATTERN runs, and what it prints becomes a file in the folder OUT, below
the name of the processor. `--option` gives a script another argument, such as
`rivals=--essentia=PYTHON`. Prints a line for each script; the exit status is 1
if one failed. Together, they take some hours.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import processor

ROOT = Path(__file__).resolve().parent.parent
MUSIC, MODELS = "{data}/audio/music", "{data}/models"
FORMATS, BAD = "{data}/audio/formats", "{data}/audio/bad"
CASES = "{data}/audio/cases"
LABELS, SPEECH = "{data}/labels", "models/speech.npz"
UNSEEN, SHIPPED = "{out}/unseen.tsv", "{out}/shipped.tsv"

# In the order in which they have to run.
FIGURES: dict[str, list[str]] = {
    "benchmarks/layers.py": [],
    "benchmarks/rivals.py": [MUSIC, f"--models={MODELS}"],
    "benchmarks/one_import.py": [f"{MUSIC}/rock.ogg"],
    "benchmarks/readers.py": [MUSIC],
    "benchmarks/patch_counts.py": [MUSIC],
    "benchmarks/footprint.py": [MUSIC],
    "benchmarks/big_library.py": [],
    "benchmarks/report.py": [],
    "benchmarks/proof.py": [FORMATS],
    "benchmarks/newcomer.py": [MUSIC],
    "benchmarks/long_run.py": [MUSIC, "--plot=docs/long_run.png"],
    "benchmarks/cluster_overhead.py": [MUSIC],
    "benchmarks/cluster_queue.py": [],
    "benchmarks/cluster_simulation.py": [MUSIC],
    "models/fit.py": [LABELS, SPEECH, f"--check={UNSEEN}"],
    "benchmarks/label_predictions.py": [LABELS, SHIPPED],
    "docs/estimates.py": [LABELS, UNSEEN, SHIPPED],
    "benchmarks/label_table.py": [MUSIC, "{out}/thirteen.tsv"],
    "benchmarks/teaching.py": [LABELS],
    "docs/accuracy.py": [],
    "docs/latent_features.py": [],
    "trials/everything.py": [FORMATS, BAD, "--table"],
    "trials/harmless.py": [CASES, BAD, FORMATS],
    "trials/kills.py": [FORMATS],
    "trials/fuzz.py": [],
    "trials/fuzz_tags.py": [FORMATS],
    "trials/imports.py": [],
    "trials/power_cut.py": [],
    "trials/sharing.py": [],
    "trials/hostile_models.py": [],
    "trials/fetches.py": [],
}


def run(script: str, args: list[str], file: Path) -> bool:
    """Have a script write a file; return whether it succeeded."""
    with file.open("w", encoding="utf-8") as out:
        out.write(f"{processor.describe()}\n\n")
        out.flush()
        done = subprocess.run(
            [sys.executable, script, *args],
            check=False,
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    return not done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--option", action="append", default=[])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    more = defaultdict(list)
    for option in options.option:
        name, _, arg = option.partition("=")
        more[name].append(arg)
    places = {"data": options.data.resolve(), "out": options.out.resolve()}
    failed = 0
    for script, args in FIGURES.items():
        if re.search(options.pattern, script):
            name = Path(script).stem
            words = [arg.format(**places) for arg in args] + more[name]
            started = time.monotonic()
            succeeded = run(script, words, options.out / f"{name}.txt")
            failed += not succeeded
            minutes = (time.monotonic() - started) / 60
            outcome = f"{minutes:.1f} min" if succeeded else "FAILED"
            print(f"{script}: {outcome}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
