"""Resampling to 16 kHz, block by block, so that memory stays small.

All models work at 16 kHz. Essentia's MonoLoader resamples with libsamplerate,
which rolls off below the end of the band; soxr does not, so the front end
applies the difference as a gain (see :func:`mel.band_edge_gain`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soundtags.audio.decoding import Audio

RATE = 16000  # Hz
BLOCK = 10 * RATE  # samples at 16 kHz that are resampled in one go
# Seconds of context on either side of a segment. A third of this would do at
# all rates from 8 to 192 kHz.
MARGIN = 1 / 16


@dataclass
class Signal:
    """A track at 16 kHz, or a segment of it.

    Attributes
    ----------
    samples
        Mono float32 samples of shape (samples,).
    edge
        End of the band in Hz, if the resampler left the band flat up to there
        and the front end still has to apply the band-edge gain; None if not.
    """

    samples: np.ndarray
    edge: float | None


class Source(Protocol):
    """Samples at their own rate, read from start to end.

    Attributes
    ----------
    rate
        Sample rate in Hz.
    """

    rate: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the samples from start to stop, fewer at the end."""


@dataclass(frozen=True)
class Resampler:
    """A resampling method.

    Attributes
    ----------
    run
        Takes samples and their rate in Hz; returns samples at 16 kHz.
    length
        Rounds the exact number of samples as the method does.
    flat
        Whether the band is left flat up to its end.
    """

    run: Callable[[np.ndarray, int], np.ndarray]
    length: Callable[[float], int]
    flat: bool

    def edge(self, rate: int) -> float | None:
        """Return :attr:`Signal.edge` for a source of this rate, in Hz."""
        return min(rate, RATE) / 2 if self.flat and rate != RATE else None


def resample(audio: Audio, resampler: str = "soxr") -> Signal:
    """Resample a decoded file to 16 kHz.

    Parameters
    ----------
    audio
        What :func:`decoding.decode` returned; its blocks are consumed.
    resampler
        A key of :data:`RESAMPLERS`.

    Returns
    -------
    Signal
        All of it at 16 kHz.

    Raises
    ------
    UnreadableAudio
        If the file is too short for a single sample at 16 kHz.

    References
    ----------
    Essentia's ``MonoLoader`` with ``resampleQuality=1``.

    Examples
    --------
    >>> from soundtags.audio.decoding import decode
    >>> resample(decode("song.flac")).samples.dtype  # doctest: +SKIP
    dtype('float32')
    """
    samples = np.concatenate(list(resampled_blocks(audio, resampler)))
    if not len(samples):
        raise UnreadableAudio("too short: no sample is left at 16 kHz")
    return Signal(samples, RESAMPLERS[resampler].edge(audio.rate))


def resampled_blocks(source: Source, resampler: str) -> Iterator[np.ndarray]:
    """Yield all of a source at 16 kHz, in blocks; only the last is short."""
    start, block = 0, np.zeros(BLOCK)
    while len(block) == BLOCK:
        block = read_segment(source, start, start + BLOCK, resampler)
        start += BLOCK
        yield block


def read_segment(
    source: Source, start: int, stop: int, resampler: str
) -> np.ndarray:
    """Read a segment of a source at 16 kHz.

    It equals the same segment of the whole source resampled, to 1e-6.

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
        Mono float32 samples, shape (samples,); fewer at the end.
    """
    rate = source.rate
    if rate == RATE:
        return source.read(start, stop)
    # Every `source_step` samples of the source, which are `step` at 16 kHz, the
    # samples of both rates coincide: only there may the resampler start.
    common = math.gcd(rate, RATE)
    source_step, step = rate // common, RATE // common
    margin = math.ceil(rate * MARGIN)
    steps = max(0, (start * source_step // step - margin) // source_step)
    end = -(-stop * source_step // step) + margin
    samples = source.read(steps * source_step, end)
    resampled = RESAMPLERS[resampler].run(samples, rate)
    return resampled[start - steps * step : stop - steps * step]


def _soxr(samples: np.ndarray, rate: int) -> np.ndarray:
    import soxr

    resampled: np.ndarray = soxr.resample(samples, rate, RATE, quality="HQ")
    return resampled


def _resampy(samples: np.ndarray, rate: int) -> np.ndarray:
    import resampy

    try:
        resampled: np.ndarray = resampy.resample(samples, rate, RATE)
    except ValueError:  # too few samples for one at 16 kHz
        resampled = np.zeros(0, np.float32)
    return resampled


RESAMPLERS = {
    "soxr": Resampler(_soxr, lambda exact: math.floor(exact + 0.5), flat=True),
    "resampy": Resampler(_resampy, math.floor, flat=False),
}
