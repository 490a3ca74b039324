"""Resampling to 16 kHz, block by block, so that memory stays small.

All models work at 16 kHz, and are sensitive to how the resampler rolls off
below the end of the band; see :mod:`sinc`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import numpy as np

from soundtags.audio import sinc
from soundtags.errors import NoResampler, UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soundtags.audio.decoding import Audio

RATE = 16000  # Hz
BLOCK = 10 * RATE  # samples that are resampled in one go
# Seconds of context on either side of a segment. A third of this would do at
# all rates from 8 to 192 kHz.
MARGIN = 1 / 16


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
        Takes samples, their rate and the new rate, both in Hz.
    length
        Rounds the exact number of samples as the method does.
    package
        Package that has to be installed for it; empty if none has.
    """

    run: Callable[[np.ndarray, int, int], np.ndarray]
    length: Callable[[float], int]
    package: str = ""


def check_installed(resampler: str) -> None:
    """Check that a resampler can be used.

    Parameters
    ----------
    resampler
        A key of :data:`RESAMPLERS`.

    Raises
    ------
    NoResampler
        If a package that it needs is not installed.
    """
    package = RESAMPLERS[resampler].package
    if package and find_spec(package) is None:
        raise NoResampler(
            f"resampler {resampler!r} is not installed: pip install {package}"
        )


def resample(audio: Audio, resampler: str = "sinc") -> np.ndarray:
    """Resample a decoded file to 16 kHz.

    Parameters
    ----------
    audio
        What :func:`decoding.decode` returned; its blocks are consumed.
    resampler
        A key of :data:`RESAMPLERS`.

    Returns
    -------
    numpy.ndarray
        The whole file at 16 kHz: mono float32 samples of shape (samples,).

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
    >>> resample(decode("song.flac")).dtype  # doctest: +SKIP
    dtype('float32')
    """
    samples = np.concatenate(list(resampled_blocks(audio, resampler)))
    if not len(samples):
        raise UnreadableAudio("too short: no sample is left at 16 kHz")
    return samples


def resampled_blocks(
    source: Source, resampler: str, rate: int = RATE
) -> Iterator[np.ndarray]:
    """Yield all of a source at another rate, in blocks.

    Only the last block is short. The parameters are those of
    :func:`read_segment`.
    """
    start, block = 0, np.zeros(BLOCK)
    while len(block) == BLOCK:
        block = read_segment(source, start, start + BLOCK, resampler, rate)
        start += BLOCK
        yield block


def read_segment(
    source: Source, start: int, stop: int, resampler: str, rate: int = RATE
) -> np.ndarray:
    """Read a segment of a source at another rate.

    It equals that segment of the whole source, resampled, to within 2e-6.

    Parameters
    ----------
    source
        Samples at their own rate.
    start, stop
        Where the segment is, in samples at the new rate.
    resampler
        A key of :data:`RESAMPLERS`.
    rate
        The new rate in Hz.

    Returns
    -------
    numpy.ndarray
        Mono float32 samples, shape (samples,); fewer at the end.
    """
    if source.rate == rate:
        return source.read(start, stop)
    # Every `source_step` samples of the source, which are `step` at the new
    # rate, the samples of both coincide: only there may the resampler start.
    common = math.gcd(source.rate, rate)
    source_step, step = source.rate // common, rate // common
    margin = math.ceil(source.rate * MARGIN)
    steps = max(0, (start * source_step // step - margin) // source_step)
    end = -(-stop * source_step // step) + margin
    samples = source.read(steps * source_step, end)
    resampled = RESAMPLERS[resampler].run(samples, source.rate, rate)
    return resampled[start - steps * step : stop - steps * step]


def _resampy(samples: np.ndarray, source: int, target: int) -> np.ndarray:
    import resampy

    try:
        resampled: np.ndarray = resampy.resample(samples, source, target)
    except ValueError:  # too few samples for a single one
        resampled = np.zeros(0, np.float32)
    return resampled


RESAMPLERS = {
    "sinc": Resampler(sinc.resample, sinc.rounded_length),
    "resampy": Resampler(_resampy, math.floor, package="resampy"),
}
