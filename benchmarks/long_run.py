"""Watch whether a long run slows down, and whether its memory grows.

    python benchmarks/long_run.py MUSIC [--tracks 1000] [--plot FILE.png]

A throw-away library is filled with links to the tracks in MUSIC, over and over
until there are --tracks of them. While `beet soundtags -f -W` analyses them in
that order (all of them anew, although most are copies), the time of each line
of its output and the memory of all its processes are recorded. For each tenth
of the run, prints the time per track and per minute of audio, and the memory at
its end; then totals, and how the last tenth compares with the second (the first
includes start-up). In long runs, tenths are whole rounds of the tracks, so that
each has the same mix. The plot, which needs Matplotlib, shows the same, and the
time of each round.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from beets.library import Item, Library
from beets.library.exceptions import ReadError
from footprint import beet, make_library
from tree_memory import watching

TENTHS = 10


@dataclass
class Part:
    """Consecutive tracks of a run."""

    end: int  # tracks from the start of the run
    tracks: int  # how many of this part were analysed
    audio: float  # minutes
    seconds: float
    memory: float  # MB, at its end

    @property
    def pace(self) -> float:
        """Seconds per minute of audio."""
        return self.seconds / self.audio if self.audio else 0.0


@dataclass
class Run:
    """What was recorded of a run."""

    lengths: list[float]  # minutes of each track
    round_size: int  # tracks until they repeat
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    lines: dict[int, float] = field(default_factory=dict)  # seconds, by number
    memory: list[tuple[float, float]] = field(
        default_factory=lambda: [(0.0, 0.0)]  # seconds, MB
    )

    def now(self) -> float:
        return time.perf_counter() - self.started

    def note_memory(self, found: float) -> None:
        self.memory.append((self.now(), found))

    @property
    def peak(self) -> float:
        """Peak memory in MB."""
        return max(found for _, found in self.memory)

    def time_of(self, track: int) -> float:
        """Return when this many tracks were done, including failed ones."""
        return max(
            (self.lines[n] for n in self.lines if n < track), default=0.0
        )

    def memory_at(self, seconds: float) -> float:
        """Return the last reading of the memory before a time."""
        place = bisect_right(self.memory, (seconds, float("inf")))
        return self.memory[max(place - 1, 0)][1]

    def part(self, start: int, end: int) -> Part:
        done = [n for n in range(start, end) if n in self.lines]
        until = self.time_of(end)
        return Part(
            end,
            len(done),
            sum(self.lengths[n] for n in done),
            until - self.time_of(start),
            self.memory_at(until),
        )

    def parts(self, edges: list[int]) -> list[Part]:
        """Divide the run at the given numbers of tracks."""
        return [self.part(*pair) for pair in pairwise(edges)]

    def rounds(self) -> list[Part]:
        """Return the whole rounds of the tracks."""
        edges = range(0, len(self.lengths) + 1, self.round_size)
        return self.parts(list(edges))

    def tenths(self) -> list[Part]:
        total = len(self.lengths)
        unit = self.round_size if total >= self.round_size * TENTHS else 1
        inner = (
            round(total / unit * place / TENTHS) * unit
            for place in range(1, TENTHS)
        )
        return self.parts([0, *inner, total])


def read_tracks(music: Path) -> list[Item]:
    """Read those files of a folder that beets can read."""
    items = []
    for path in sorted(path for path in music.rglob("*") if path.is_file()):
        try:
            items.append(Item.from_path(str(path.absolute())))
        except ReadError as exc:
            print(f"left out: {exc}", file=sys.stderr)
    return items


def fill(folder: Path, sources: list[Item], count: int) -> None:
    """Put links to tracks into a library, each round of them as an album."""
    beet(folder, "version")  # makes the tables
    library = Library(str(folder / "library.db"), str(folder / "music"))
    with library.transaction():
        for start in range(0, count, len(sources)):
            number = min(len(sources), count - start)
            library.add_album(
                [
                    linked(source, folder / "music", start + place)
                    for place, source in enumerate(sources[:number])
                ]
            )


def linked(source: Item, folder: Path, number: int) -> Item:
    """Return a copy of an item, whose file is a link to the original."""
    original = source.filepath
    link = folder / f"{number:06}{original.suffix}"
    link.symlink_to(original)
    item = source.copy()
    name = original.stem  # without both, the output would name the link
    title, artist = source.title or name, source.artist or name
    item.update({"path": str(link), "title": title, "artist": artist})
    return item


def watch(folder: Path, run: Run) -> None:
    """Run the command and record when each track is done."""
    process = subprocess.Popen(
        [sys.executable, "-m", "beets", "soundtags", "-f", "-W", "id+"],
        env={
            **os.environ,
            "BEETSDIR": str(folder),
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    with watching(process.pid, run.note_memory):
        for line in process.stdout or ():
            if done := re.match(r"(\d+): ", line):  # the id, and the labels
                run.lines[int(done[1]) - 1] = run.now()
            else:
                print(line, end="")
        status = process.wait()
    run.seconds = run.now()
    if status or not run.lines:
        sys.exit("beet soundtags failed")


def show(run: Run) -> None:
    print("\ntracks  analysed  s/track  s/min of audio  MB at the end")
    tenths = run.tenths()
    for tenth in tenths:
        print(
            f"{tenth.end:6} {tenth.tracks:9}"
            f" {tenth.seconds / max(tenth.tracks, 1):8.2f}"
            f" {tenth.pace:15.3f} {tenth.memory:14.0f}"
        )
    audio = sum(run.lengths[n] for n in run.lines)
    print(
        f"\n{len(run.lines)} of {len(run.lengths)} tracks, {audio:.0f} minutes"
        f" of audio in {run.seconds:.0f} s ({run.seconds / len(run.lines):.2f}"
        f" s per track, {run.seconds / audio:.3f} s per minute);"
        f" {run.peak:.0f} MB at its peak"
    )
    second, last = tenths[1], tenths[-1]
    if second.pace and second.memory:
        print(
            f"last tenth / second tenth: {last.pace / second.pace:.3f} in time"
            f" per minute of audio, {last.memory / second.memory:.3f} in memory"
        )


def plot(run: Run, file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (upper, lower) = pyplot.subplots(
        2, sharex=True, figsize=(8, 6), layout="constrained"
    )
    plot_pace(upper, run)
    plot_memory(lower, run)
    lower.set_xlim(0, len(run.lengths))
    figure.savefig(file, dpi=120)


def plot_pace(axes: Any, run: Run) -> None:
    tenths, rounds = run.tenths(), run.rounds()
    axes.plot(
        [part.end - run.round_size / 2 for part in rounds],
        [part.pace for part in rounds],
        ".",
        label=f"each round of {run.round_size} tracks",
    )
    axes.stairs(
        [tenth.pace for tenth in tenths],
        [0, *(tenth.end for tenth in tenths)],
        baseline=None,
        linewidth=2,
        label="each tenth of the run",
    )
    axes.set_ylabel("time per minute of audio (s)")
    axes.set_ylim(bottom=0)
    axes.legend()


def plot_memory(axes: Any, run: Run) -> None:
    stamps = sorted(run.lines.values())
    axes.plot(
        [bisect_right(stamps, seconds) for seconds, _ in run.memory],
        [memory for _, memory in run.memory],
        label="resident memory",
    )
    axes.axhline(run.peak, linestyle=":", color="grey", label="its peak")
    axes.set_xlabel("tracks analysed")
    axes.set_ylabel("resident memory (MB)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--tracks", type=int, default=1000)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    if given.tracks < TENTHS:
        parser.error(f"--tracks: {given.tracks} is less than {TENTHS}")
    sources = read_tracks(given.music)
    if not sources:
        parser.error(f"{given.music}: no tracks that beets can read")
    lengths = [
        sources[number % len(sources)].length / 60
        for number in range(given.tracks)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_library(Path(temporary) / "library", "soundtags")
        with (folder / "config.yaml").open("a") as config:
            config.write("format_item: $id\n")
        fill(folder, sources, given.tracks)
        run = Run(lengths, len(sources))
        watch(folder, run)
    show(run)
    if given.plot:
        plot(run, given.plot)


if __name__ == "__main__":
    main()
