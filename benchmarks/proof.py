"""Measure the cost of proving that a tagged copy has all that its file has.

    python benchmarks/proof.py FOLDER

For each file: how long writing our tags takes, what part of it is proof, and
how that compares with analysing the file by default.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import soundtags
from beetsplug.soundtags import file_tags
from beetsplug.soundtags.proof import examine
from soundtags.errors import SoundtagsError

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = {
    "mood": ["relaxed", "acoustic"],
    "danceability": 0.5,
    "voice_instrumental": "voice",
    "genres": ["Rock"],
}


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Return the seconds of the fastest of several rounds."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def measure(
    source: Path, folder: Path, rounds: int
) -> tuple[float, float, float]:
    """Return the seconds of writing, of proving and of analysing."""
    path = folder / source.name

    def write() -> None:
        shutil.copyfile(source, path)
        file_tags.write_tags(str(path), VALUES, id3v23=False)

    copying = fastest(lambda: shutil.copyfile(source, path), rounds)
    writing = fastest(write, rounds) - copying
    proving = 2 * fastest(lambda: examine(str(path)), rounds)
    analysing = fastest(lambda: soundtags.analyse(path), rounds)
    return writing, proving, analysing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    sources = sorted(args.folder.iterdir())
    print(f"{'file':24} {'MB':>6} {'writing':>9} {'proof':>9} {'analysis':>9}")
    total = proofs = 0.0
    with tempfile.TemporaryDirectory() as name:
        for source in sources:
            try:
                writing, proving, analysing = measure(
                    source, Path(name), args.rounds
                )
            except SoundtagsError as exc:
                print(f"{source.name[:24]:24} {exc}")
                continue
            size = source.stat().st_size / 1e6
            print(
                f"{source.name[:24]:24} {size:6.1f} {1e3 * writing:6.1f} ms"
                f" {1e3 * proving:6.1f} ms {1e3 * analysing:6.0f} ms"
            )
            proofs += proving
            total += writing + analysing
    if total:
        print(f"the proof takes {proofs / total:.1%} of it all")


if __name__ == "__main__":
    main()
