"""Synthesise three short pieces of music to try the plugin on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import mediafile
import numpy as np
import soundfile
from sounds import (
    RATE,
    clock,
    decay,
    fade,
    high_pass,
    humanise,
    hz,
    low_pass,
    noise,
    pan,
    place,
    pluck,
    reverb,
    saw,
    sine,
    step_seconds,
    swept_low_pass,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sounds import Event

PEAK = 0.7
BAR = 16  # steps
BARS = 12
TAIL = 2.0  # seconds for the last sounds to die away

TECHNO_BPM = 130
TECHNO_STABS = {
    "...9..9.........": (57, 60, 64, 67),
    "...........9..7.": (55, 59, 62, 65),
}
ACID = (33, 33, 45, 33, 36, 33, 33, 48, 33, 45, 33, 31, 33, 33, 43, 36)

PAD_SECONDS = 6.0
PAD_CHORDS = (
    (33, 45, 52, 60, 64, 67),
    (29, 41, 48, 57, 60, 64),
    (36, 48, 55, 59, 62, 64),
    (31, 43, 50, 59, 62, 66),
)

RIFF_BPM = 126
RIFF = (  # root and steps
    *((33, 3), (33, 3), (36, 2), (38, 3), (36, 3), (33, 2)),
    *((33, 3), (33, 3), (36, 2), (39, 2), (38, 6)),
    *((33, 3), (33, 3), (36, 2), (38, 3), (36, 3), (33, 2)),
    *((29, 6), (31, 6), (33, 4)),
)
POWER_CHORD = (0, 7, 12)


def loop(sounds: Mapping[str, np.ndarray], step: float) -> Iterator[Event]:
    """Repeat patterns of a bar: digits are velocities, dots are rests."""
    for pattern, sound in sounds.items():
        for index, velocity in enumerate(pattern * BARS):
            if velocity != ".":
                yield index * step, int(velocity) / 9 * sound


def normalise(track: np.ndarray) -> np.ndarray:
    return (track * (PEAK / np.abs(track).max())).astype(np.float32)


def kick(low: float, sweep: float, half_life: float) -> np.ndarray:
    body = sine(low + sweep * decay(0.5, 0.015)) * decay(0.5, half_life)
    click = high_pass(noise(0.5, 0), 2000) * decay(0.5, 0.002)
    return np.tanh(2 * body) + 0.1 * click


def snare() -> np.ndarray:
    shell = sine(185 + 120 * decay(0.4, 0.01)) * decay(0.4, 0.04)
    wires = high_pass(noise(0.4, 1), 1500) * decay(0.4, 0.05)
    return shell + 0.5 * wires


def clap() -> np.ndarray:
    hands = low_pass(high_pass(noise(0.3, 2), 900), 3500) * decay(0.3, 0.035)
    return place(0.35, ((start, hands) for start in (0, 0.011, 0.022)))


def cymbal(half_life: float, cutoff: float, seed: int) -> np.ndarray:
    seconds = 10 * half_life
    return high_pass(noise(seconds, seed), cutoff) * decay(seconds, half_life)


def stab(chord: Sequence[int]) -> np.ndarray:
    voices = sum(
        saw(hz(note + detune), 0.4, phase=3 * detune)
        for note in chord
        for detune in (-0.09, 0.08)
    )
    return low_pass(voices, 2500, 1.5) * decay(0.4, 0.06)


def acid(seconds: float, step: float) -> np.ndarray:
    """Return a saw bass whose filter opens with each note and over time."""
    notes = (
        (index * step, saw(hz(note), step) * fade(step, 0.003, 0.01))
        for index, note in enumerate(ACID * BARS)
    )
    time = clock(seconds)
    opening = np.sin(np.pi * time / seconds) ** 2
    cutoff = 150 + (200 + 1250 * opening) * 0.5 ** (time % step / 0.05)
    swept = swept_low_pass(place(seconds, notes), cutoff, q=5)
    return np.tanh(2 * swept)


def techno() -> np.ndarray:
    step = step_seconds(TECHNO_BPM)
    seconds = BARS * BAR * step + TAIL
    kit = {
        "9...9...9...9...": kick(48, 250, 0.08),
        "....9.......9...": 0.35 * clap(),
        "..9...9...9...9.": 0.14 * cymbal(0.05, 7000, 3),
        "5373537353735373": 0.07 * cymbal(0.012, 9000, 4),
    }
    drums = place(seconds, loop(kit, step))
    bass = acid(seconds, step)
    chords = {pattern: stab(chord) for pattern, chord in TECHNO_STABS.items()}
    stabs = place(seconds, loop(chords, step))
    echo = place(seconds, [(3 * step, stabs)])
    room = np.column_stack([reverb(stabs, 0.2, 5000, n) for n in (5, 6)])
    above = pan(0.5 * bass, 0) + pan(0.06 * stabs, -0.3) + pan(0.03 * echo, 0.6)
    # The kick ducks all that is not a drum.
    duck = 1 - 0.7 * 0.5 ** (clock(seconds) % (4 * step) / 0.06)
    return normalise(pan(drums, 0) + duck[:, None] * (above + 0.04 * room))


def pad(chord: Sequence[int], side: int) -> np.ndarray:
    seconds = PAD_SECONDS + 1.5
    voices = sum(
        saw(hz(note + side * detune), seconds, phase=note * detune)
        for note in chord
        for detune in (-0.06, 0.01, 0.07)
    )
    return voices * fade(seconds, 2.0, 2.5)


def pads() -> np.ndarray:
    seconds = len(PAD_CHORDS) * PAD_SECONDS
    cutoff = 1100 - 400 * np.cos(4 * np.pi * clock(seconds) / seconds)
    sides = []
    for side in (-1, 1):
        chords = (
            (index * PAD_SECONDS, pad(chord, side))
            for index, chord in enumerate(PAD_CHORDS)
        )
        dry = swept_low_pass(place(seconds, chords), cutoff, q=0.7)
        sides.append(0.4 * dry + reverb(dry, 0.6, 2500, 7 + side))
    return normalise(np.column_stack(sides) * fade(seconds, 0.5, 3)[:, None])


def strum(tones: Sequence[int], step: float, seed: int) -> Iterator[Event]:
    """Play the riff on one string per tone, each a little out of tune."""
    tuning = np.random.default_rng(seed).normal(0, 0.06, len(tones))
    start = 0.0
    for root, steps in (*RIFF * (BARS // 4), (RIFF[0][0], TAIL / step)):
        seconds = steps * step
        envelope = fade(seconds, 0.001, 0.02)
        for index, (tone, detune) in enumerate(zip(tones, tuning)):
            string = pluck(hz(root + tone + detune), seed + index)
            yield start, string[: len(envelope)] * envelope
        start += seconds


def amplifier(signal: np.ndarray) -> np.ndarray:
    """Overdrive a guitar and play it through a cabinet."""
    driven = np.tanh(10 * high_pass(signal, 150))
    return low_pass(low_pass(high_pass(driven, 90), 3000, 1.0), 5000)


def riff() -> np.ndarray:
    step = step_seconds(RIFF_BPM)
    seconds = BARS * BAR * step + TAIL
    kit = {
        "9.....9.9.7.....": 0.8 * kick(60, 120, 0.04),
        "....9.......9..3": 0.9 * snare(),
        "9.7.9.7.9.7.9.7.": 0.25 * cymbal(0.12, 4000, 3),
    }
    crash = 0.25 * cymbal(0.5, 3000, 4)
    crashes = [(bar * BAR * step, crash) for bar in range(0, BARS + 1, 4)]
    drums = place(seconds, humanise((*loop(kit, step), *crashes), 5))
    drums += 0.3 * reverb(drums, 0.1, 6000, 8)
    bass = place(seconds, humanise(strum((-12,), step, 50), 6))
    bass = low_pass(np.tanh(3 * bass), 1200)
    mix = pan(0.7 * drums + 1.2 * bass, 0)
    # Recorded twice, as guitars are, so that the sides differ.
    for seed, side in ((10, -0.8), (30, 0.8)):
        guitar = place(seconds, humanise(strum(POWER_CHORD, step, seed), seed))
        mix += pan(0.6 * amplifier(guitar), side)
    return normalise(np.tanh(mix))


ARTIST = "beets-soundtags"
ALBUM = "Demo"
PIECES = {
    "techno": ("Four on the Floor", ARTIST, ALBUM, techno),
    "pads": ("Slow Weather", ARTIST, ALBUM, pads),
    "riff": ("Drop A", ARTIST, ALBUM, riff),
}
ENDINGS = {"techno": ".flac", "pads": ".ogg", "riff": ".wav"}


def write(folder: Path) -> list[Path]:
    """Write every piece, in a format of its own, with tags."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (title, artist, album, piece) in PIECES.items():
        path = folder / f"{name}{ENDINGS[name]}"
        track = piece()
        with soundfile.SoundFile(path, "w", RATE, channels=2) as audio:
            # The Vorbis encoder overflows the stack on long blocks.
            for start in range(0, len(track), RATE):
                audio.write(track[start : start + RATE])
        tags = mediafile.MediaFile(path)
        tags.update({"title": title, "artist": artist, "album": album})
        tags.save()
        paths.append(path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write the pieces")
    for path in write(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
