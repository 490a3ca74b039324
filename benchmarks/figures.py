"""Measure the figures of the documentation again.

    python benchmarks/figures.py DATA OUT [PATTERN] [--option SCRIPT=ARG ...]

DATA is a folder with music, models and labels: `audio/music`, `audio/formats`,
`audio/bad`, `audio/cases`, `models` and `labels`. Each script whose path, or
the name of whose figures, matches PATTERN runs, and what it prints becomes a
file in the folder OUT, below the name of the processor. Some figures of speed
are also made as if the processor had no AVX-512. `--option` gives a script
another argument, such as `rivals=--essentia=PYTHON`. Prints a line for each
file; the exit status is 1 if a script failed. Together, they take some hours.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import processor

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MUSIC, MODELS = "{data}/audio/music", "{data}/models"
FORMATS, BAD = "{data}/audio/formats", "{data}/audio/bad"
CASES = "{data}/audio/cases"
LABELS, SPEECH = "{data}/labels", "models/speech.npz"
UNSEEN, SHIPPED = "{out}/unseen.tsv", "{out}/shipped.tsv"

# In the order in which they have to run; a name is that of a file in OUT.
FIGURES: dict[str, list[str]] = {
    "layers": ["benchmarks/layers.py"],
    "layers_2_threads": ["benchmarks/layers.py", "--threads=2"],
    "rivals": ["benchmarks/rivals.py", MUSIC, f"--models={MODELS}"],
    "rivals_one": [
        "benchmarks/rivals.py",
        MUSIC,
        f"--models={MODELS}",
        "--rounds=6",
        "--only",
        "Essentia, one",
        "ours, one classifier, all patches",
    ],
    "one_import": ["benchmarks/one_import.py", f"{MUSIC}/rock.ogg"],
    "readers": ["benchmarks/readers.py", MUSIC],
    "patch_counts": ["benchmarks/patch_counts.py", MUSIC, f"--models={MODELS}"],
    "footprint": ["benchmarks/footprint.py", MUSIC],
    "big_library": ["benchmarks/big_library.py"],
    "report": ["benchmarks/report.py"],
    "proof": ["benchmarks/proof.py", FORMATS],
    "newcomer": ["benchmarks/newcomer.py", MUSIC],
    "long_run": ["benchmarks/long_run.py", MUSIC, "--plot=docs/long_run.png"],
    "cluster_overhead": ["benchmarks/cluster_overhead.py", MUSIC],
    "cluster_queue": ["benchmarks/cluster_queue.py"],
    "cluster_simulation": ["benchmarks/cluster_simulation.py", MUSIC],
    "fit": ["models/fit.py", LABELS, SPEECH, f"--check={UNSEEN}"],
    "label_predictions": ["benchmarks/label_predictions.py", LABELS, SHIPPED],
    "estimates": ["docs/estimates.py", LABELS, UNSEEN, SHIPPED],
    "label_table": ["benchmarks/label_table.py", MUSIC, "{out}/thirteen.tsv"],
    "teaching": ["benchmarks/teaching.py", LABELS],
    "accuracy": ["docs/accuracy.py"],
    "latent_features": ["docs/latent_features.py"],
    "everything": ["trials/everything.py", FORMATS, BAD, "--table"],
    "harmless": ["trials/harmless.py", CASES, BAD, FORMATS],
    "kills": ["trials/kills.py", FORMATS],
    "fuzz": ["trials/fuzz.py", f"--formats={FORMATS}"],
    "fuzz_tags": ["trials/fuzz_tags.py", FORMATS],
    "imports": ["trials/imports.py"],
    "edits": ["trials/edits.py"],
    "power_cut": ["trials/power_cut.py"],
    "sharing": ["trials/sharing.py"],
    "hostile_models": ["trials/hostile_models.py"],
    "fetches": ["trials/fetches.py"],
}
WITHOUT_AVX512 = ("layers", "layers_2_threads", "rivals")  # as well as with it
AVX2 = {
    "DNNL_MAX_CPU_ISA": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


class Figure(NamedTuple):
    """A call of a script, and the variables of its environment."""

    name: str
    script: str
    args: list[str]
    variables: dict[str, str]


def figures() -> Iterator[Figure]:
    """Yield all figures, in their order."""
    for name, (script, *args) in FIGURES.items():
        yield Figure(name, script, args, {})
        if name in WITHOUT_AVX512:
            yield Figure(f"{name}_without_avx512", script, args, AVX2)


def run(figure: Figure, words: list[str], file: Path) -> bool:
    """Have a script write a file; return whether it succeeded."""
    variables = {**os.environ, **figure.variables}
    with file.open("w", encoding="utf-8") as out:
        out.write(f"{processor.describe(variables)}\n\n")
        out.flush()
        done = subprocess.run(
            [sys.executable, figure.script, *words],
            check=False,
            cwd=ROOT,
            env=variables,
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
        script, _, arg = option.partition("=")
        more[script].append(arg)
    places = {"data": options.data.resolve(), "out": options.out.resolve()}
    failed = 0
    for figure in figures():
        if re.search(options.pattern, f"{figure.script} {figure.name}"):
            words = [arg.format(**places) for arg in figure.args]
            words += more[Path(figure.script).stem]
            started = time.monotonic()
            file = options.out / f"{figure.name}.txt"
            succeeded = run(figure, words, file)
            failed += not succeeded
            minutes = (time.monotonic() - started) / 60
            outcome = f"{minutes:.1f} min" if succeeded else "FAILED"
            print(f"{figure.name}: {outcome}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
