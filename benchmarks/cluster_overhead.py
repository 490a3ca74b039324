"""Compare a cluster on this machine with this machine alone.

    python benchmarks/cluster_overhead.py MUSIC [--rounds 5] [--copies 4]

By turns, the tracks in MUSIC, some times over, are heard by the default models
in both ways, once all is started and loaded: by threads of this process, and by
a scheduler and workers of one thread each, or of --threads. Prints the seconds,
their ratio in each round, whether all that was heard is the same, to the last
digit, and the memory that a worker takes in the end.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import psutil
from distributed import Client, LocalCluster

from beetsplug.soundtags.cluster import Cluster, Shares
from beetsplug.soundtags.engines import Local
from beetsplug.soundtags.hearing import Heard
from beetsplug.soundtags.plan import make_plan
from beetsplug.soundtags.settings import Settings

if TYPE_CHECKING:
    from beetsplug.soundtags.engines import Engine
    from beetsplug.soundtags.pipeline import Hearing

MODELS = ["msd-musicnn-1", "mtt-musicnn-1"]
MEMORY = 2 * 10**9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    files = sorted(str(p) for p in options.music.iterdir() if p.is_file())
    plan = make_plan(MODELS, Path("none"), Settings(), lambda _: None)

    def hear(engine: Engine) -> tuple[float, dict[str, Hearing]]:
        started = time.perf_counter()
        pairs = [(file, file) for file in files] * options.copies
        found = dict(engine.hear(pairs, plan, lambda *_: None))
        return time.perf_counter() - started, found

    with LocalCluster(
        n_workers=options.jobs // options.threads,
        threads_per_worker=options.threads,
        dashboard_address=None,
    ) as dask:
        shares = Shares.of({}, str(options.music.absolute()), ship=False)
        engines: dict[str, Engine] = {
            "alone": Local(options.jobs, MEMORY),
            "cluster": Cluster(
                dask.scheduler_address, shares, MEMORY, logging.getLogger()
            ),
        }
        for engine in engines.values():
            hear(engine)
        ratios = []
        for number in range(options.rounds):
            order = sorted(engines, reverse=bool(number % 2))
            took, found = {}, {}
            for name in order:
                took[name], found[name] = hear(engines[name])
            ratios.append(took["cluster"] / took["alone"])
            print(
                *(f"{name} {took[name]:6.2f} s" for name in engines),
                f"ratio {ratios[-1]:.3f}",
                "same" if alike(found["alone"], found["cluster"]) else "OTHER",
                sep="   ",
            )
        for engine in engines.values():
            engine.close()
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


def alike(one: dict[str, Hearing], other: dict[str, Hearing]) -> bool:
    return one.keys() == other.keys() and all(
        same(one[name], other[name]) for name in one
    )


def same(one: Hearing, other: Hearing) -> bool:
    if not isinstance(one, Heard) or not isinstance(other, Heard):
        return str(one) == str(other)
    return all(
        np.array_equal(one.activations[name], other.activations[name])
        for name in one.activations
    )


if __name__ == "__main__":
    main()
