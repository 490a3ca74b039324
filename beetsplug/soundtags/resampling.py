"""Samples at any rate to 16 kHz, piece by piece."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .decoding import Audio

RATE = 16000  # Hz, of every model
PIECE = 10 * RATE  # samples at 16 kHz that are resampled at a time
# Seconds around a piece that its samples depend on. Beyond a third of it,
# nothing changes any more, at rates from 8 to 192 kHz.
MARGIN = 1 / 16


@dataclass
class Signal:
    """A track at 16 kHz, or a stretch of it.

    Attributes
    ----------
    samples
        Mono float32 samples of shape (samples,).
    edge
        Where the band ends, in Hz, if the resampler left it flat up to there
        and the front end has to apply the band-edge gain; None if not.
    """

    samples: np.ndarray
    edge: float | None

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


class Source(Protocol):
    """Samples at their own rate, to be read in pieces.

    Attributes
    ----------
    rate
        Samples per second, in Hz.
    """

    rate: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples from start to stop, or to the end before."""


@dataclass(frozen=True)
class Resampler:
    """A way to resample.

    Attributes
    ----------
    run
        Takes samples and their rate, returns samples at 16 kHz.
    length
        Makes the number of samples out of the exact quotient.
    flat
        Whether it leaves the band flat up to its end.
    """

    run: Callable[[np.ndarray, int], np.ndarray]
    length: Callable[[float], int]
    flat: bool

    def edge(self, rate: int) -> float | None:
        """Return the `edge` of what was at this rate; see `Signal`."""
        return min(rate, RATE) / 2 if self.flat and rate != RATE else None


def resample(audio: Audio, resampler: str = "soxr") -> Signal:
    """Resample a decoded file to 16 kHz.

    Parameters
    ----------
    audio
        What :func:`decoding.decode` returned; its blocks are used up.
    resampler
        A key of :data:`RESAMPLERS`.

    Raises
    ------
    UnreadableAudio
        If nothing is left, as of a file with too few samples.
    """
    samples = np.concatenate(list(pieces(audio, resampler)))
    if not len(samples):
        raise UnreadableAudio("too short: no sample is left at 16 kHz")
    return Signal(samples, RESAMPLERS[resampler].edge(audio.rate))


def pieces(source: Source, resampler: str) -> Iterator[np.ndarray]:
    """Yield a whole source at 16 kHz, in pieces, of which the last is short."""
    start, piece = 0, np.zeros(PIECE)
    while len(piece) == PIECE:
        piece = read(source, start, start + PIECE, resampler)
        start += PIECE
        yield piece


def read(source: Source, start: int, stop: int, resampler: str) -> np.ndarray:
    """Read some samples of a source at 16 kHz.

    They are those that resampling the whole source would give, to 1e-6.

    Parameters
    ----------
    source
        Samples at their own rate.
    start, stop
        In samples at 16 kHz.
    resampler
        A key of :data:`RESAMPLERS`.

    Returns
    -------
    numpy.ndarray
        Shape (samples,), float32: less than asked for at the end.
    """
    rate = source.rate
    if rate == RATE:
        return source.read(start, stop)
    # Every so many samples, those of both rates coincide.
    common = math.gcd(rate, RATE)
    step, made = rate // common, RATE // common
    margin = math.ceil(rate * MARGIN)
    steps = max(0, (start * step // made - margin) // step)
    samples = source.read(steps * step, -(-stop * step // made) + margin)
    resampled = RESAMPLERS[resampler].run(samples, rate)
    return resampled[start - steps * made : stop - steps * made]


def _soxr(samples: np.ndarray, rate: int) -> np.ndarray:
    import soxr

    resampled: np.ndarray = soxr.resample(samples, rate, RATE, quality="HQ")
    return resampled


def _resampy(samples: np.ndarray, rate: int) -> np.ndarray:
    import resampy

    try:
        resampled: np.ndarray = resampy.resample(samples, rate, RATE)
    except ValueError:  # fewer samples than make one at 16 kHz
        resampled = np.zeros(0, np.float32)
    return resampled


RESAMPLERS = {
    "soxr": Resampler(_soxr, lambda exact: math.floor(exact + 0.5), flat=True),
    "resampy": Resampler(_resampy, math.floor, flat=False),
}
