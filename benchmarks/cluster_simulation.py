"""Simulate clusters of 1 to 1,000 workers, from what is measured here.

    python benchmarks/cluster_simulation.py MUSIC [--tracks 20000]

Measures, with the default models: the time that a worker of one thread takes
for each track in MUSIC; the bytes that are sent to it and back; and the time of
each step by which beets processes a result: interpret it, store predictions in
the cache, update the library, write tags to the file. Two figures come from
cluster_queue.py: how many tracks per second beets processes in all, without
writing tags (--queue), and the processor time of the scheduler per track
(--scheduling).

Then simulates a queue, event by event: as many tasks under way as the plugin
allows, workers that take the measured time of a random track, and a scheduler
and beets that each do one thing at a time. Prints tracks per second, and how
busy workers, scheduler and beets are.
"""

from __future__ import annotations

import argparse
import heapq
import os
import pickle
import random
import shutil
import statistics
import tempfile
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from beets.library import Item, Library

from beetsplug.soundtags.fields import item_types
from beetsplug.soundtags.file_tags import write_tags
from soundtags.inference.cache import PredictionCache
from soundtags.inference.dask.messages import (
    Predicted,
    PredictTracks,
    portable_plan,
)
from soundtags.inference.dask.paths import PathMapping
from soundtags.inference.dask.run import PREFETCH
from soundtags.inference.pipeline import predict_all
from soundtags.inference.sessions import SessionPool
from soundtags.labelling.interpret import interpret
from soundtags.models.plan import Plan, make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundtags.inference.pipeline import TrackResult

MODELS = ["msd-musicnn-1", "mtt-musicnn-1"]
WORKERS = (1, 2, 4, 10, 30, 100, 200, 300, 500, 1000)
TIMES = 50  # how often each step is repeated
TAGS = ["mood", "danceability", "voice_instrumental"]


class Measured(NamedTuple):
    """Measurements of a cluster.

    Attributes
    ----------
    tasks
        Seconds that a worker takes for each track.
    sent, returned
        Bytes of a task, and of its result.
    steps
        Seconds that beets takes for each step of processing a result.
    """

    tasks: list[float]
    sent: int
    returned: int
    steps: dict[str, float]


def measure(files: list[Path], plan: Plan) -> Measured:
    pool = SessionPool(2 * 10**9)
    list(predict_all([(0, str(files[0]))], plan, pool, 1))
    tasks, results = [], []
    for file in files:
        started = time.perf_counter()
        (result,) = predict_all([(0, str(file))], plan, pool, 1)
        if result.predictions:
            tasks.append(time.perf_counter() - started)
            results.append(result)
    mapping = PathMapping.for_library(str(files[0].parent.absolute()), {})
    remote = (mapping.remote_file(str(files[0].absolute())),)
    sent = pickle.dumps(PredictTracks(portable_plan(plan), 0, "auto", remote))
    returned = pickle.dumps(Predicted(results[:1]))
    return Measured(
        tasks, len(sent), len(returned), steps(files[0], results[0], plan)
    )


def steps(file: Path, result: TrackResult[int], plan: Plan) -> dict[str, float]:
    """Return the median seconds of each step of processing a result."""
    packed = pickle.dumps(Predicted([result]))
    predictions = result.predictions
    assert predictions
    fields = interpret(predictions, plan).fields
    tags = {name: fields[name] for name in TAGS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = Path(shutil.copy(file, folder))
        Item._types = {**Item._types, **item_types(plan.targets.values())}
        cache = PredictionCache(folder / "store.db")
        library = Library(str(folder / "library.db"), str(folder))
        item = Item(path=os.fsencode(path))
        library.add(item)

        def store() -> None:
            item.update({**fields, "year": random.randrange(3000)})
            item.store()

        found = {
            "unpickle": median(lambda: pickle.loads(packed)),
            "interpret": median(lambda: interpret(predictions, plan)),
            "cache": median(lambda: cache.save(predictions, plan)),
            "library": median(store),
            "tags": median(
                lambda: write_tags(str(path), changed(tags), id3v23=False)
            ),
        }
        cache.close()
        library._close()
    return found


def changed(tags: dict[str, object]) -> dict[str, object]:
    """Return tags that differ from those of the file, so it is written."""
    return {**tags, "danceability": random.random()}


def median(work: Callable[[], object]) -> float:
    found = []
    for _ in range(TIMES):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


class Simulated(NamedTuple):
    """Tracks per second, and the fraction of time that each was busy."""

    rate: float
    workers: float
    scheduler: float
    beets: float


class Stage(IntEnum):
    """What a task waits for."""

    SCHEDULER = 0
    WORKER = 1
    BEETS = 2


def simulate(
    workers: int,
    tracks: int,
    tasks: list[float],  # seconds of a worker, drawn at random
    scheduling: float,  # seconds of the scheduler per task
    result: float,  # seconds of beets per result
) -> Simulated:
    """Simulate a run, event by event.

    A task waits for the scheduler, then for a worker, then for beets, which
    sends another one when it has processed the result.
    """
    rng = random.Random(0)
    free = [0.0] * workers  # when each worker is free
    scheduler = beets = busy = 0.0  # when the two are free; seconds of workers
    sent = min(PREFETCH * workers, tracks)
    events = [(0.0, Stage.SCHEDULER)] * sent
    while events:
        now, stage = heapq.heappop(events)
        if stage is Stage.SCHEDULER:
            scheduler = max(scheduler, now) + scheduling
            heapq.heappush(events, (scheduler, Stage.WORKER))
        elif stage is Stage.WORKER:
            took = rng.choice(tasks)
            done = max(heapq.heappop(free), now) + took
            busy += took
            heapq.heappush(free, done)
            heapq.heappush(events, (done, Stage.BEETS))
        else:
            beets = max(beets, now) + result
            if sent < tracks:
                heapq.heappush(events, (beets, Stage.SCHEDULER))
                sent += 1
    return Simulated(
        tracks / beets,
        busy / workers / beets,
        tracks * scheduling / beets,
        tracks * result / beets,
    )


def show_measured(measured: Measured) -> None:
    print(
        f"a worker of one thread: {statistics.mean(measured.tasks):.2f} s per"
        f" track ({min(measured.tasks):.2f} to {max(measured.tasks):.2f})\n"
        f"{measured.sent} bytes there, {measured.returned} bytes back\n"
    )
    for name, seconds in measured.steps.items():
        print(f"{name:18} {seconds * 1e3:6.2f} ms")


def show_simulated(
    tracks: int, tasks: list[float], scheduling: float, result: float
) -> None:
    print(
        "workers  tracks/s  workers busy  scheduler busy  beets busy"
        "  hours per million"
    )
    for workers in WORKERS:
        found = simulate(workers, tracks, tasks, scheduling, result)
        print(
            f"{workers:7} {found.rate:9.1f} {found.workers:13.0%}"
            f" {found.scheduler:15.0%} {found.beets:11.0%}"
            f" {1e6 / found.rate / 3600:18.1f}"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument(
        "--scheduling",
        type=float,
        default=3.5,
        help="milliseconds of the scheduler per task (default: %(default)s)",
    )
    parser.add_argument(
        "--queue",
        type=float,
        default=104.0,
        help="tracks per second that beets processes in cluster_queue.py"
        " (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    options = parse()
    files = sorted(p for p in options.music.iterdir() if p.is_file())
    plan = make_plan(MODELS, Path("none"), Settings(), print)
    measured = measure(files, plan)
    show_measured(measured)
    for name, result in {
        "without tags": 1 / options.queue,
        "with tags": 1 / options.queue + measured.steps["tags"],
    }.items():
        print(f"\n{name}: {result * 1e3:.2f} ms per result")
        show_simulated(
            options.tracks, measured.tasks, options.scheduling / 1e3, result
        )


if __name__ == "__main__":
    main()
