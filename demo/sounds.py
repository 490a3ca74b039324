"""Oscillators, envelopes, filters and effects, at 44.1 kHz."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Event = tuple[float, np.ndarray]  # start in seconds, mono sound
    Response = Callable[[np.ndarray], np.ndarray]  # of frequencies in Hz

RATE = 44_100  # Hz


def clock(seconds: float) -> np.ndarray:
    """Return the time of every sample."""
    return np.arange(round(seconds * RATE)) / RATE


def hz(note: float) -> float:
    """Return the frequency of a MIDI note."""
    return 440 * 2 ** ((note - 69) / 12)


def step_seconds(bpm: float) -> float:
    return 60 / bpm / 4


def noise(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(round(seconds * RATE))


def sine(frequency: np.ndarray) -> np.ndarray:
    """Return a sine wave with a frequency per sample."""
    return np.sin(2 * np.pi * np.cumsum(frequency) / RATE)


def saw(frequency: float, seconds: float, phase: float = 0) -> np.ndarray:
    """Return a sawtooth wave, its jumps rounded off against aliasing."""
    step = frequency / RATE
    phases = (phase + frequency * clock(seconds)) % 1
    after = np.clip(1 - phases / step, 0, 1)
    before = np.clip(1 - (1 - phases) / step, 0, 1)
    return 2 * phases - 1 + after**2 - before**2


@cache
def pluck(frequency: float, seed: int) -> np.ndarray:
    """Return a plucked string: the Karplus-Strong loop, solved by FFT."""
    seconds, half_life = 3.0, 0.5
    period = RATE / frequency
    gain = 0.5 ** (1 / (frequency * half_life))

    def response(hertz: np.ndarray) -> np.ndarray:
        omega = 2 * np.pi * hertz / RATE
        feedback = gain * np.cos(omega / 2) * np.exp(-1j * omega * period)
        return 1 / (1 - feedback)

    burst = np.zeros(round(seconds * RATE))
    burst[: round(period)] = noise(period / RATE, seed)
    return filtered(burst, response)


def decay(seconds: float, half_life: float) -> np.ndarray:
    return 0.5 ** (clock(seconds) / half_life)


def fade(seconds: float, attack: float, release: float) -> np.ndarray:
    """Return an envelope from 0 to 1 and back to 0."""
    corners = (0, attack, seconds - release, seconds)
    level = np.interp(clock(seconds), corners, (0, 1, 1, 0))
    return np.sin(level * np.pi / 2)


def filtered(signal: np.ndarray, response: Response) -> np.ndarray:
    # A power of two is fast, and some silence keeps what rings on from
    # wrapping around to the start.
    size = 1 << (len(signal) + RATE // 10).bit_length()
    spectrum = np.fft.rfft(signal, size)
    spectrum *= response(np.fft.rfftfreq(size, 1 / RATE))
    return np.fft.irfft(spectrum, size)[: len(signal)]


def resonance(ratio: np.ndarray, q: float) -> np.ndarray:
    """Return a two-pole low-pass's response, by frequency over cutoff."""
    return 1 / (1 - ratio**2 + 1j * ratio / q)


def low_pass(signal: np.ndarray, cutoff: float, q: float = 0.7) -> np.ndarray:
    return filtered(signal, lambda hertz: resonance(hertz / cutoff, q))


def high_pass(signal: np.ndarray, cutoff: float, q: float = 0.7) -> np.ndarray:
    def response(hertz: np.ndarray) -> np.ndarray:
        return -((hertz / cutoff) ** 2) * resonance(hertz / cutoff, q)

    return filtered(signal, response)


def swept_low_pass(
    signal: np.ndarray, cutoff: np.ndarray, q: float
) -> np.ndarray:
    """Filter with a cutoff per sample, in overlapping frames."""
    size, hop = 1024, 512
    padded = np.pad(signal, (hop, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    centres = np.minimum(np.arange(len(frames)) * hop, len(signal) - 1)
    ratio = np.fft.rfftfreq(size, 1 / RATE) / cutoff[centres, None]
    spectra = np.fft.rfft(frames * np.hanning(size + 1)[:-1])
    # Without phase shifts, which would smear frames across their edges.
    frames = np.fft.irfft(spectra * np.abs(resonance(ratio, q)))
    joined = frames[1:, :hop] + frames[:-1, hop:]
    return joined.ravel()[: len(signal)]


def reverb(
    signal: np.ndarray, half_life: float, cutoff: float, seed: int
) -> np.ndarray:
    """Convolve with decaying noise, which is how a room's echoes add up."""
    seconds = 8 * half_life
    room = low_pass(noise(seconds, seed) * decay(seconds, half_life), cutoff)
    room /= np.sqrt(np.sum(room**2))
    size = 1 << (len(signal) + len(room)).bit_length()
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(room, size)
    return np.fft.irfft(spectrum, size)[: len(signal)]


def place(seconds: float, events: Iterable[Event]) -> np.ndarray:
    """Sum up sounds, each from its start on."""
    track = np.zeros(round(seconds * RATE))
    for start, sound in events:
        rest = track[round(start * RATE) :]
        rest[: len(sound)] += sound[: len(rest)]
    return track


def humanise(events: Iterable[Event], seed: int) -> Iterator[Event]:
    """Play less evenly than a machine."""
    rng = np.random.default_rng(seed)
    for start, sound in events:
        yield start + rng.uniform(0, 0.012), rng.uniform(0.8, 1) * sound


def pan(mono: np.ndarray, position: float) -> np.ndarray:
    """Place a signal between left (-1) and right (1)."""
    angle = (position + 1) * np.pi / 4
    return np.column_stack([mono * np.cos(angle), mono * np.sin(angle)])
