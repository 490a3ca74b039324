"""Analyse files that were damaged at random, from file to scores.

    python trials/fuzz.py [--files 20000] [--seed 0] [--formats FOLDER]

Seeds are short pieces in the formats that libsndfile writes, and the files in
FOLDER. Of each file that is made of them, some bytes are changed, some pieces
left out, repeated, or put elsewhere, and its end may be missing. Prints what
came of them. Files that crash a decoder or make it hang are kept. The exit
status is 1 if the analysis as such ended, said something unexpected or gave a
score that is none; crashes of decoders, which cost their file alone, are
counted.
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
    """Write a short piece in many formats, and add what there is."""
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
    """Return a file that was damaged in a few ways."""
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", type=Path)
    options = parser.parse_args()
    jobs = len(os.sched_getaffinity(0))
    plan = make_plan([MODEL], Path("none"), Settings(patches=1), lambda _: None)
    outcomes: Counter[str] = Counter()
    wrong, slowest, started = 0, 0.0, time.monotonic()
    kept = Path(tempfile.mkdtemp(prefix="fuzz-"))
    readers = DecoderPool(jobs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "seeds").mkdir()
        files = seeds(folder / "seeds", options.formats)
        contents = [(file.name, file.read_bytes()[:LARGEST]) for file in files]
        tracks = made(folder, contents, options.files, options.seed)
        before = time.monotonic()
        for result in predict_all(
            tracks, plan, SessionPool(10**9), jobs, readers.features
        ):
            path = result.key
            found = result.error or capture_errors(
                interpret, result.unwrap(), plan
            )
            slowest = max(slowest, time.monotonic() - before)
            before = time.monotonic()
            outcomes[kind_of(found)] += 1
            if isinstance(found, CrashedDecoder | HangingDecoder):
                shutil.copy(path, kept)
            if isinstance(found, UnexpectedFailure) or not sane(found):
                print(f"{path.name}: {found}\n{getattr(found, 'trace', '')}")
                shutil.copy(path, kept)
                wrong += 1
            path.unlink()
    readers.close()
    took = time.monotonic() - started
    print(f"{options.files} files of {len(files)} seeds in {took / 60:.1f} min")
    print(f"longest wait for one: {slowest:.1f} s")
    for outcome, count in outcomes.most_common():
        print(f"{count:6} {outcome}")
    if any(kept.iterdir()):
        print(f"kept: {kept}")
    else:
        kept.rmdir()
    sys.exit(bool(wrong) or sum(outcomes.values()) != options.files)


def kind_of(found: object) -> str:
    if isinstance(found, Interpretation):
        silent = found.fields.get("danceability", 0) is None
        return "silence" if silent else "analysed"
    return f"{type(found).__name__}: {str(found).split(':')[0]}"


def sane(found: object) -> bool:
    """Whether all scores are between 0 and 1."""
    if not isinstance(found, Interpretation):
        return True
    scores = [v for v in found.fields.values() if isinstance(v, float)]
    return all(math.isfinite(score) and 0 <= score <= 1 for score in scores)


if __name__ == "__main__":
    main()
