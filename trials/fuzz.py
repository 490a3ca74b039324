"""Analyse files that were damaged at random, from file to scores.

    python trials/fuzz.py [--files 20000] [--seed 0] [--formats FOLDER]

Seeds are short pieces in the formats that libsndfile writes, and the files in
FOLDER. Copies of them are damaged: some bytes changed, some pieces left out,
repeated or moved, and sometimes the end cut off. Prints the results. Files that
crash a decoder or make it hang are kept. The exit status is 1 if the analysis
stopped, raised an unexpected error, or gave a score that is not from 0 to 1;
crashes of decoders, which make only that file fail, are just counted.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import soundfile

from soundtags.audio.decoder_pool import DecoderPool
from soundtags.errors import (
    CrashedDecoder,
    HangingDecoder,
    UnexpectedFailure,
    capture_errors,
)
from soundtags.inference.pipeline import predict_all
from soundtags.inference.sessions import SessionPool
from soundtags.labelling.interpret import Interpretation, interpret
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundtags.labelling.interpret import Outcome

MODEL = "msd-musicnn-1"
WRITTEN = {
    "wav": "PCM_16",
    "aiff": "PCM_24",
    "flac": "PCM_16",
    "ogg": "VORBIS",
    "opus": "OPUS",
    "mp3": "MPEG_LAYER_III",
    "w64": "FLOAT",
    "caf": "ALAC_16",
    "au": "ULAW",
}
RATE = 48000
SECONDS = 4
LARGEST = 1 << 20  # bytes of a seed


def seeds(folder: Path, more: Path | None) -> list[Path]:
    """Write a short piece in many formats; return these and more files."""
    time_ = np.arange(SECONDS * RATE) / RATE
    rng = np.random.default_rng(0)
    samples = 0.4 * np.sin(2000 * time_) + 0.1 * rng.standard_normal(len(time_))
    for kind, subtype in WRITTEN.items():
        container = {"opus": "OGG"}.get(kind)
        with soundfile.SoundFile(
            folder / f"seed.{kind}", "w", RATE, 1, subtype, format=container
        ) as file:
            file.write(samples)
    found = sorted(folder.iterdir())
    if more:
        found += sorted(p for p in more.iterdir() if p.is_file())
    return found


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a file's content, damaged in a few ways."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        if not data:
            break
        place = int(len(data) * rng.random() ** rng.choice([1, 6]))
        length = min(1 + int(rng.expovariate(1 / 200)), len(data) - place)
        piece = bytes(data[place : place + length])
        other = rng.randrange(len(data))
        match rng.randrange(7):
            case 0:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                data[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            case 2:
                data[place : place + length] = rng.randbytes(length)
            case 3:
                del data[place : place + length]
            case 4:
                data[other:other] = piece
            case 5:
                data[other : other + length] = piece
            case 6:
                del data[max(1, other) :]
    return bytes(data)


def made(
    folder: Path, contents: list[tuple[str, bytes]], count: int, seed: int
) -> Iterator[tuple[Path, str]]:
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        name, content = rng.choice(contents)
        path = folder / f"{number}-{name}"
        path.write_bytes(damaged(content, rng))
        yield path, str(path)


@dataclass
class Tally:
    """The results so far.

    Attributes
    ----------
    kept
        Folder for the files that are kept.
    outcomes
        How often each one occurred.
    wrong
        How many results were wrong.
    slowest
        The longest wait for a result, in seconds.
    """

    kept: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    slowest: float = 0.0

    def add(self, path: Path, found: Outcome, seconds: float) -> None:
        self.slowest = max(self.slowest, seconds)
        self.outcomes[kind_of(found)] += 1
        if isinstance(found, CrashedDecoder | HangingDecoder):
            shutil.copy(path, self.kept)
        if isinstance(found, UnexpectedFailure) or not sane(found):
            print(f"{path.name}: {found}\n{getattr(found, 'trace', '')}")
            shutil.copy(path, self.kept)
            self.wrong += 1

    def show(self) -> None:
        print(f"longest wait for one: {self.slowest:.1f} s")
        for outcome, count in self.outcomes.most_common():
            print(f"{count:6} {outcome}")
        if any(self.kept.iterdir()):
            print(f"kept: {self.kept}")
        else:
            self.kept.rmdir()


def kind_of(found: Outcome) -> str:
    if isinstance(found, Interpretation):
        silent = found.fields.get("danceability", 0) is None
        return "silence" if silent else "analysed"
    return f"{type(found).__name__}: {str(found).split(':')[0]}"


def sane(found: Outcome) -> bool:
    """Return whether all scores are between 0 and 1."""
    if not isinstance(found, Interpretation):
        return True
    scores = [v for v in found.fields.values() if isinstance(v, float)]
    return all(math.isfinite(score) and 0 <= score <= 1 for score in scores)


def analyse(tracks: Iterator[tuple[Path, str]], tally: Tally) -> None:
    """Analyse files, and delete each."""
    jobs = len(os.sched_getaffinity(0))
    plan = make_plan([MODEL], Path("none"), Settings(patches=1), print)
    pool, decoders = SessionPool(10**9), DecoderPool(jobs)
    before = time.monotonic()
    for result in predict_all(tracks, plan, pool, jobs, decoders.features):
        found = result.error or capture_errors(interpret, result.unwrap(), plan)
        tally.add(result.key, found, time.monotonic() - before)
        before = time.monotonic()
        result.key.unlink()
    decoders.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", type=Path)
    options = parser.parse_args()
    tally = Tally(Path(tempfile.mkdtemp(prefix="fuzz-")))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "seeds").mkdir()
        files = seeds(folder / "seeds", options.formats)
        contents = [(file.name, file.read_bytes()[:LARGEST]) for file in files]
        tracks = made(folder, contents, options.files, options.seed)
        analyse(tracks, tally)
    took = time.monotonic() - started
    print(f"{options.files} files of {len(files)} seeds in {took / 60:.1f} min")
    tally.show()
    complete = tally.outcomes.total() == options.files
    sys.exit(bool(tally.wrong) or not complete)


if __name__ == "__main__":
    main()
