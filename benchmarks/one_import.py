"""Measure what importing a single track takes, with each engine in turn.

    python benchmarks/one_import.py TRACK [--rounds 3]

Each import goes into an empty library of its own, by `beet import -A -s`. What
happens only once is done beforehand: making a library takes beets half a
second, and finding out whether TensorFlow can be loaded takes as long as
loading it.
Prints medians of seconds, with the least and the most, and the ratio of the
engines.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import processor
import yaml

from soundtags.inference.tensorflow_check import LoadingCheck

ENGINES = ("tensorflow", "numpy")


def seconds(track: Path, engine: str) -> float:
    """Return how long an import takes."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "in").mkdir()
        shutil.copy(track, home / "in")
        config = {
            "directory": str(home / "music"),
            "library": str(home / "library.db"),
            "plugins": ["soundtags"],
            "soundtags": {"engine": engine},
            "import": {"quiet": True},
        }
        (home / "config.yaml").write_text(yaml.safe_dump(config))
        beet(home, "ls")
        if engine == "tensorflow":
            LoadingCheck(home / "soundtags-trials.json")()
        started = time.perf_counter()
        beet(home, "import", "-A", "-s", str(home / "in"))
        return time.perf_counter() - started


def beet(home: Path, *args: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "beets", *args],
        env={**os.environ, "BEETSDIR": str(home)},
        check=True,
        capture_output=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("track", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    took: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for _ in range(options.rounds):
        for engine in ENGINES:
            took[engine].append(seconds(options.track, engine))
    print(processor.describe())
    medians = {name: statistics.median(each) for name, each in took.items()}
    for name, each in took.items():
        print(
            f"{name:10} {medians[name]:.1f} s"
            f" ({min(each):.1f} to {max(each):.1f})"
        )
    print(f"ratio {medians['numpy'] / medians['tensorflow']:.2f}")


if __name__ == "__main__":
    main()
