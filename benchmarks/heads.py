"""Measure what heads cost on top of the backbone that they share.

    python benchmarks/heads.py TRACK [--models MODELS] [--rounds 9]

Runs `msd-musicnn-1` alone, and with fifteen heads on it, on the patches of
TRACK, in turn, and prints both times and their ratio. Heads are taken from
MODELS if they are there; the others are stand-ins with the same layers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from soundtags.audio.features import features
from soundtags.inference.pooling import pool_outputs
from soundtags.inference.predict import plan_nodes, predict
from soundtags.inference.sessions import SessionPool
from soundtags.labelling.interpret import interpret
from soundtags.models import catalogue, plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from soundtags.audio.features import Features

BACKBONE = "msd-musicnn-1"
FAMILY = "msd-musicnn"
HEADS = 15


def provide(name: str, folder: Path, models: Path | None) -> bool:
    """Put a head into a folder; return whether it is the real one."""
    graph = folder / f"{name}.pb"
    real = models and (models / graph.name).resolve()
    if real and real.exists():
        graph.symlink_to(real)
        return True
    from support.standins import write_standin  # loads pytest

    facts = catalogue.published()[name].metadata
    write_standin(
        graph,
        facts.algorithm,
        dict(facts.outputs),
        len(facts.classes),
        facts.backbone,
        facts.input,
    )
    return False


def analyse(chunk: Features, made: plan.Plan, pool: SessionPool) -> float:
    """Run a plan on patches; return the seconds from patches to labels."""
    started = time.perf_counter()
    outputs = predict([chunk.patches], plan_nodes(made), pool)
    interpret(pool_outputs(outputs, chunk, made), made)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("track", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    heads = catalogue.groups()[FAMILY][:HEADS]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        real = [provide(name, folder, options.models) for name in heads]
        plans = {
            "backbone": plan.make_plan([BACKBONE], folder, Settings(), print),
            "heads": plan.make_plan(heads, folder, Settings(), print),
        }
        (chunk,) = features(str(options.track), plans["backbone"].feature_spec)
        pool = SessionPool(2 * 10**9)
        times: dict[str, list[float]] = {name: [] for name in plans}
        for _ in range(options.rounds + 1):
            for name, made in plans.items():
                times[name].append(analyse(chunk, made, pool))
        pool.close()
    (patches,) = chunk.patches.values()
    # The first round loads the graphs.
    alone, together = (statistics.median(times[n][1:]) for n in plans)
    print(
        f"{len(patches)} patches: {BACKBONE} alone {alone:.2f} s, with"
        f" {len(heads)} heads ({sum(real)} real) {together:.2f} s:"
        f" {together / alone:.2f} times"
    )


if __name__ == "__main__":
    main()
