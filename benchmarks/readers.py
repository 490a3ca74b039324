"""Compare decoding in separate processes with decoding in this process.

    python benchmarks/readers.py MUSIC [--rounds 5] [--jobs 2]

Once the models are loaded and the processes started, the tracks in MUSIC are
analysed with the default models in both ways by turns, in one run. Prints how
much longer it takes with processes, and the memory of all of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tree_memory import watching

from soundtags.audio.decoder_pool import DecoderPool
from soundtags.audio.features import features
from soundtags.inference.pipeline import predict_all
from soundtags.inference.sessions import SessionPool
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from soundtags.audio.features import FeatureReader
    from soundtags.models.plan import Plan

MODELS = ["msd-musicnn-1", "mtt-musicnn-1"]
MEMORY = 2 * 10**9


@dataclass(frozen=True)
class Analysis:
    """An analysis of some files, to be run time and again."""

    files: list[str]
    plan: Plan
    pool: SessionPool
    jobs: int

    def run(self, reader: FeatureReader) -> tuple[float, float]:
        """Return seconds, and MB at the peak."""
        seen = [0.0]
        started = time.perf_counter()
        with watching(os.getpid(), seen.append):
            tracks = ((file, file) for file in self.files)
            for _ in predict_all(
                tracks, self.plan, self.pool, self.jobs, reader
            ):
                pass
            seconds = time.perf_counter() - started
        return seconds, max(seen)


def measure(analysis: Analysis, rounds: int) -> None:
    analysis.run(features)
    _, memory_here = analysis.run(features)  # before there are processes
    decoders = DecoderPool(analysis.jobs)
    analysis.run(decoders.features)
    ratios, peaks = [], []
    for number in range(1, rounds + 1):
        here, _ = analysis.run(features)
        elsewhere, peak = analysis.run(decoders.features)
        ratios.append(elsewhere / here)
        peaks.append(peak)
        print(f"{number}: here {here:.2f} s, elsewhere {elsewhere:.2f} s")
    decoders.close()
    print(
        f"{len(analysis.files)} files, jobs {analysis.jobs}:"
        f" {statistics.median(ratios):.3f} times the time"
        f" ({min(ratios):.3f} to {max(ratios):.3f}); {memory_here:.0f} MB here,"
        f" {max(peaks):.0f} MB with {analysis.jobs} processes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    files = sorted(str(p) for p in options.music.iterdir() if p.is_file())
    plan = make_plan(MODELS, Path("none"), Settings(), print)
    pool = SessionPool(MEMORY)
    measure(Analysis(files, plan, pool, options.jobs), options.rounds)


if __name__ == "__main__":
    main()
