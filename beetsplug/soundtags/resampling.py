"""Blocks of samples to one 16 kHz signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .decoding import Audio

RATE = 16000  # Hz, of every model


@dataclass
class Signal:
    """A whole track at 16 kHz.

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
    edge = None
    if audio.rate == RATE:
        samples = _join(audio.blocks)
    else:
        samples = RESAMPLERS[resampler](audio)
        if resampler == "soxr":
            edge = min(audio.rate, RATE) / 2
    if not len(samples):
        raise UnreadableAudio("too short: no sample is left at 16 kHz")
    return Signal(samples, edge)


def _soxr(audio: Audio) -> np.ndarray:
    import soxr

    stream = soxr.ResampleStream(
        audio.rate, RATE, 1, dtype="float32", quality="HQ"
    )
    parts = [stream.resample_chunk(block) for block in audio.blocks]
    parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts)


def _resampy(audio: Audio) -> np.ndarray:
    import resampy

    samples = _join(audio.blocks)
    try:
        resampled: np.ndarray = resampy.resample(samples, audio.rate, RATE)
    except ValueError:  # fewer samples than make one at 16 kHz
        resampled = np.zeros(0, np.float32)
    return resampled


def _join(blocks: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(blocks))


RESAMPLERS: dict[str, Callable[[Audio], np.ndarray]] = {
    "soxr": _soxr,
    "resampy": _resampy,
}
