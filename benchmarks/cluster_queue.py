"""Send a long queue of tracks through a cluster, and watch beets.

    python benchmarks/cluster_queue.py [--tracks 10000] [--workers 2]

The workers run no models: they return made-up predictions at once, as in the
tests, so that results keep beets as busy as possible. For each tenth of the
run, prints the tracks per second and the resident memory of beets; at the end,
the CPU time per track of beets and of the scheduler, which is in this process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile
from beets.library import Item, Library
from distributed import LocalCluster
from footprint import beet, make_library

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
MADE_UP = SUPPORT / "made_up_workers.py"  # has workers make predictions up
TENTHS = 10


def fill(folder: Path, count: int) -> None:
    """Put links to a short file into a library."""
    beet(folder, "version")  # makes the tables
    sound = folder / "sound.wav"
    soundfile.write(sound, np.zeros(1000), 44100)
    library = Library(str(folder / "library.db"), str(folder / "music"))
    with library.transaction():
        for number in range(count):
            link = folder / "music" / f"{number:06}.wav"
            link.symlink_to(sound)
            library.add(Item(path=os.fsencode(link), title=str(number)))


def watch(folder: Path, address: str, count: int) -> None:
    """Run beet on a cluster and print how it does."""
    started = last = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "beets", "soundtags", "-W"]
        + ["--cluster", address],
        env={**os.environ, "BEETSDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    itself = psutil.Process(process.pid)
    own = psutil.Process()
    before = cpu_time(own)
    print("tracks  per second  MB")
    tenth = max(1, count // TENTHS)
    for number, line in enumerate(process.stdout or (), start=1):
        if number > count:
            print(line, end="")
        elif number % tenth == 0:
            now = time.perf_counter()
            memory = itself.memory_info().rss / 1e6
            took = cpu_time(itself), cpu_time(own) - before
            print(f"{number:6}  {tenth / (now - last):10.0f}  {memory:.0f}")
            last = now
    if process.wait():
        sys.exit("beet soundtags failed")
    print(
        f"{count / (time.perf_counter() - started):.0f} tracks per second;"
        f" CPU time per track: beets {took[0] / count * 1e3:.1f} ms,"
        f" scheduler {took[1] / count * 1e3:.1f} ms"
    )


def cpu_time(process: psutil.Process) -> float:
    """Return the CPU time of a process, in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_library(Path(temporary) / "library", "soundtags")
        fill(folder, options.tracks)
        with LocalCluster(
            n_workers=options.workers,
            threads_per_worker=1,
            dashboard_address=None,
            preload=[str(MADE_UP)],
        ) as dask:
            watch(folder, dask.scheduler_address, options.tracks)


if __name__ == "__main__":
    main()
