"""Compare a cluster on this machine with this machine alone.

    python benchmarks/cluster_overhead.py MUSIC [--rounds 5] [--copies 4]
        [--engine auto]

Once everything is started and loaded, analyses the tracks in MUSIC with the
default models, several times over, in both ways by turns: with threads of this
process, and with a scheduler and workers of one thread each, or of --threads.
Prints the seconds and their ratio for each round, whether all predictions are
the same to the last digit, and the most memory that a worker takes at the end.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import psutil
from distributed import Client, LocalCluster

from soundtags.inference.dask.client import Cluster
from soundtags.inference.dask.paths import PathMapping
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.executor import LocalExecutor
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from soundtags.inference.executor import Executor
    from soundtags.inference.pipeline import TrackResult
    from soundtags.models.plan import Plan

    Results = dict[str, TrackResult[str]]

MODELS = ["msd-musicnn-1", "mtt-musicnn-1"]
MEMORY = 2 * 10**9


@dataclass(frozen=True)
class Analysis:
    """The analysis of some files, by whichever executor."""

    files: list[str]
    plan: Plan

    def run(self, executor: Executor) -> tuple[float, Results]:
        started = time.perf_counter()
        pairs = [(file, file) for file in self.files]
        results = executor.predict(pairs, self.plan, lambda *_: None)
        found = {result.key: result for result in results}
        return time.perf_counter() - started, found


def compare(
    analysis: Analysis, executors: dict[str, Executor], rounds: int
) -> list[float]:
    """Have executors take turns; print and return the ratios."""
    for executor in executors.values():
        analysis.run(executor)
    ratios = []
    for number in range(rounds):
        order = sorted(executors, reverse=bool(number % 2))
        took, found = {}, {}
        for name in order:
            took[name], found[name] = analysis.run(executors[name])
        ratios.append(took["cluster"] / took["alone"])
        print(
            *(f"{name} {took[name]:6.2f} s" for name in executors),
            f"ratio {ratios[-1]:.3f}",
            "same" if alike(found["alone"], found["cluster"]) else "DIFFERENT",
            sep="   ",
        )
    return ratios


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--engine", default="auto", help="that runs models")
    return parser.parse_args()


def main() -> None:
    options = parse()
    files = sorted(str(p) for p in options.music.iterdir() if p.is_file())
    plan = make_plan(MODELS, Path("none"), Settings(), print)
    with LocalCluster(
        n_workers=options.jobs // options.threads,
        threads_per_worker=options.threads,
        dashboard_address=None,
    ) as dask:
        mapping = PathMapping.for_library(str(options.music.absolute()), {})
        executors: dict[str, Executor] = {
            "alone": LocalExecutor(
                options.jobs, MEMORY, EngineChoice(options.engine)
            ),
            "cluster": Cluster(
                dask.scheduler_address,
                mapping,
                MEMORY,
                options.engine,
                logging.getLogger(),
            ),
        }
        analysis = Analysis(files * options.copies, plan)
        ratios = compare(analysis, executors, options.rounds)
        for executor in executors.values():
            executor.close()
        with Client(dask) as client:
            taken = max(client.run(memory).values())
    print(
        f"cluster / alone: {statistics.median(ratios):.3f}"
        f" ({min(ratios):.3f} to {max(ratios):.3f});"
        f" a worker takes {taken / 1e6:.0f} MB"
    )


def memory() -> int:
    """Return the bytes that this process has resident."""
    return psutil.Process().memory_info().rss


def alike(one: Results, other: Results) -> bool:
    return one.keys() == other.keys() and all(
        same(one[name], other[name]) for name in one
    )


def same(one: TrackResult[str], other: TrackResult[str]) -> bool:
    if one.predictions is None or other.predictions is None:
        return str(one.error) == str(other.error)
    theirs = other.predictions.activations
    return all(
        np.array_equal(values, theirs[name])
        for name, values in one.predictions.activations.items()
    )


if __name__ == "__main__":
    main()
