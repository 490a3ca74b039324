"""Compare reading files in processes of their own with reading them here.

    python benchmarks/readers.py MUSIC [--rounds 5] [--jobs 2]

By turns, the tracks in MUSIC are analysed with the default models in both ways,
in one run, once the models are loaded and the processes started. Prints how
much longer the first way takes, and the memory of all processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
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

MODELS = ["msd-musicnn-1", "mtt-musicnn-1"]
MEMORY = 2 * 10**9


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
    plan = make_plan(MODELS, Path("none"), Settings(), lambda _: None)
    pool = SessionPool(MEMORY)
    jobs = options.jobs

    def analyse(reading: FeatureReader) -> tuple[float, float]:
        """Return seconds and the peak memory."""
        seen: list[float] = []
        started = time.perf_counter()
        with watching(os.getpid(), seen.append):
            for _ in predict_all(
                ((file, file) for file in files), plan, pool, jobs, reading
            ):
                pass
            took = time.perf_counter() - started
        return took, max(seen)

    analyse(features)
    here = [analyse(features)]  # its memory, before there are processes
    readers = DecoderPool(jobs)
    analyse(readers.features)
    elsewhere = []
    ratios = []
    for number in range(options.rounds):
        here.append(analyse(features))
        elsewhere.append(analyse(readers.features))
        ratios.append(elsewhere[-1][0] / here[-1][0])
        print(
            f"{number + 1}: here {here[-1][0]:.2f} s,"
            f" elsewhere {elsewhere[-1][0]:.2f} s"
        )
    readers.close()
    print(
        f"{len(files)} files, jobs {jobs}: {statistics.median(ratios):.3f}"
        f" times the time ({min(ratios):.3f} to {max(ratios):.3f});"
        f" {here[0][1]:.0f} MB here,"
        f" {max(peak for _, peak in elsewhere):.0f} MB with {jobs} processes"
    )


if __name__ == "__main__":
    main()
