"""Measure what the plugin costs at start-up, and in memory at work.

    python benchmarks/footprint.py MUSIC [--pairs 30]

Prints how much longer `beet version` takes with the plugin enabled (the median
of pairs of runs, in turn), and the peak memory of `beet soundtags` in a
throw-away library with copies of the tracks in MUSIC: with the default number
of patches, and with all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tree_memory import watching

CONFIG = """\
directory: {folder}/music
library: {folder}/library.db
plugins: [{plugins}]
import: {{copy: yes, write: yes, autotag: no, quiet: yes}}
soundtags: {{auto: no, patches: 16}}
"""


def make_library(folder: Path, plugins: str) -> Path:
    (folder / "music").mkdir(parents=True)
    text = CONFIG.format(folder=folder, plugins=plugins)
    (folder / "config.yaml").write_text(text)
    return folder


def start_up(library: Path) -> float:
    """Return the seconds that `beet version` takes, without watching memory."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "beets", "version"],
        env={**os.environ, "BEETSDIR": str(library)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def beet(library: Path, *args: str) -> tuple[float, float]:
    """Run beet; return seconds, and MB of all its processes at the peak."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "beets", *args],
        env={**os.environ, "BEETSDIR": str(library)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seen = [0.0]
    with watching(process.pid, seen.append):
        status = process.wait()
        seconds = time.perf_counter() - started
    if status:
        sys.exit(f"beet {' '.join(args)} failed")
    return seconds, max(seen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--pairs", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        without = make_library(Path(temporary) / "without", "")
        enabled = make_library(Path(temporary) / "enabled", "soundtags")
        for library in (without, enabled):
            start_up(library)  # not counted: it writes byte code
        costs = [
            -start_up(without) + start_up(enabled) for _ in range(options.pairs)
        ]
        print(
            f"beet version: {statistics.median(costs) * 1000:+.0f} ms with the"
            f" plugin (median of {options.pairs} pairs,"
            f" from {min(costs) * 1000:+.0f} to {max(costs) * 1000:+.0f})"
        )
        beet(enabled, "import", str(options.music))
        for patches in ("16", "all"):
            config = enabled / "config.yaml"
            text = config.read_text().replace(
                "patches: 16", f"patches: {patches}"
            )
            config.write_text(text)
            seconds, peak = beet(enabled, "soundtags")
            print(
                f"beet soundtags, {patches} patches: {peak:.0f} MB at its peak,"
                f" {seconds:.0f} s"
            )


if __name__ == "__main__":
    main()
