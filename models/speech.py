"""Make features of recordings, to learn to tell speech from music.

    python models/speech.py OUT.npz MUSIC SUNG SPEAKER...

Each SPEAKER is a folder with recordings of one speaker, or of voices of one
kind; short ones are joined into pieces. Each piece is taken alone and with
music under it (kind: speech), and some as a spoken introduction to a minute of
music (music). MUSIC has music without voices, SUNG singing without instruments.
The features are the auto-taggers' mean activations.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import soundtags
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 16000
PIECE, LEAST, PAUSE = 30 * RATE, 20 * RATE, RATE // 3
PIECES = 8  # of each folder
INTRODUCTION, AFTER_IT = 15 * RATE, 60 * RATE
LOUDNESS = 0.08  # RMS
QUIETER = 12, 6  # music under speech, in decibels, in turns
INTRODUCED = 4  # of so many pieces, one becomes an introduction


def level(samples: np.ndarray, decibels: float = 0.0) -> np.ndarray:
    """Return samples as loud as LOUDNESS, or some decibels quieter."""
    rms = np.sqrt(np.mean(samples**2)) + 1e-9
    return samples * LOUDNESS / rms * 10 ** (-decibels / 20)


def read(folder: Path) -> Iterator[np.ndarray]:
    for file in sorted(folder.rglob("*.*")):
        with suppress(UnreadableAudio):  # some are empty
            yield soundtags.load(file)


def pieces(folder: Path) -> list[np.ndarray]:
    """Return pieces of up to PIECE samples, joined from recordings."""
    found, parts = [], []
    for recording in read(folder):
        parts += [recording[:PIECE], np.zeros(PAUSE, np.float32)]
        if sum(map(len, parts)) >= LEAST:
            found.append(level(np.concatenate(parts)[:PIECE]))
            parts = []
        if len(found) == PIECES:
            break
    return found


def tracks(
    speakers: list[Path], music: Path, sung: Path
) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Yield name, kind, group and samples of all tracks."""
    beds = list(read(music))
    for folder in speakers:
        for number, piece in enumerate(pieces(folder)):
            name, bed = f"{folder.name}-{number}", beds[number % len(beds)]
            yield name, "speech", folder.name, piece
            under = level(np.resize(bed, len(piece)), QUIETER[number % 2])
            yield f"{name}+music", "speech", folder.name, piece + under
            if number % INTRODUCED == 0:
                parts = piece[:INTRODUCTION], level(bed[:AFTER_IT])
                whole = np.concatenate(parts)
                yield f"{name}-introduction", "music", folder.name, whole
    for number, piece in enumerate(pieces(sung)):
        yield f"sung-{number}", "music", "sung", piece


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("music", type=Path)
    parser.add_argument("sung", type=Path)
    parser.add_argument("speakers", type=Path, nargs="+")
    options = parser.parse_args()
    taggers = [soundtags.Model(f"{name}-musicnn-1") for name in ("msd", "mtt")]
    rows: dict[str, list[object]] = {
        name: [] for name in ("id", "kind", "group", "msd_tags", "mtt_tags")
    }
    for *facts, samples in tracks(
        options.speakers, options.music, options.sung
    ):
        means = [tagger.predict(samples).mean(axis=0) for tagger in taggers]
        for values, value in zip(rows.values(), [*facts, *means]):
            values.append(value)
        print(facts[0], flush=True)
    np.savez(options.out, **{n: np.array(v) for n, v in rows.items()})


if __name__ == "__main__":
    main()
