"""Mel bands of a 16 kHz signal: the front ends of the models.

References
----------
Pons, J. and Serra, X. (2019). "musicnn: Pre-trained convolutional neural
networks for music audio tagging." Late-breaking demo, ISMIR.

Hershey, S. et al. (2017). "CNN architectures for large-scale audio
classification." ICASSP.

Essentia's algorithms ``TensorflowInputMusiCNN`` and ``TensorflowInputVGGish``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from soundtags.audio.resampling import RATE
from soundtags.blas import single_threaded

if TYPE_CHECKING:
    from collections.abc import Callable

FFT = 512  # samples
BINS = FFT // 2 + 1
BLOCK = 4096  # frames transformed at a time, to bound memory

# Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1 kHz, logarithmic
# above.
LINEAR_HZ = 200 / 3  # Hz per mel
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ
LOG_STEP = np.log(6.4) / 27  # per mel


@dataclass(frozen=True)
class MelInput:
    """The mel bands that one kind of model takes.

    Attributes
    ----------
    frame, hop
        Frame length and hop size in samples.
    exponent
        Exponent of the magnitude spectrum: 1 for magnitudes, 2 for power.
    bank
        Returns the triangular filters, float64, shape (257, bands).
    compress
        Compresses the energies of the bands.
    """

    frame: int
    hop: int
    exponent: int
    bank: Callable[[], np.ndarray]
    compress: Callable[[np.ndarray], np.ndarray]


def mel_bands(samples: np.ndarray, name: str) -> np.ndarray:
    """Return the log-compressed mel bands of a whole signal.

    The first frame is centred on the first sample, the last one on the end or
    just after it; the signal is padded with zeros. The values agree with
    Essentia's algorithms of the same names: MusiCNN's to 5e-5, VGGish's to
    1e-4, or to 3e-4 where a band is almost empty.

    Parameters
    ----------
    samples
        A signal at 16 kHz: mono float32 samples of shape (samples,).
    name
        A key of :data:`INPUTS`.

    Returns
    -------
    numpy.ndarray
        Float32, shape (frames, bands); one frame per hop.

    Examples
    --------
    >>> second = np.zeros(16000, np.float32)
    >>> mel_bands(second, MUSICNN).shape
    (64, 96)
    >>> mel_bands(second, VGGISH).shape
    (101, 64)
    """
    kind = INPUTS[name]
    count = frame_count(len(samples), name)
    padded = np.zeros((count - 1) * kind.hop + kind.frame, np.float32)
    padded[kind.frame // 2 : kind.frame // 2 + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, kind.frame)
    frames = frames[:: kind.hop]
    bank = filter_bank(name)
    bands = np.empty((count, bank.shape[1]), np.float32)
    with single_threaded():
        for start in range(0, count, BLOCK):
            block = frames[start : start + BLOCK] * window(kind.frame)
            spectrum = np.fft.rfft(block, FFT)
            energy = spectrum.real**2 + spectrum.imag**2
            if kind.exponent == 1:
                energy = np.sqrt(energy)
            bands[start : start + BLOCK] = kind.compress(energy @ bank)
    return bands


def frame_count(length: int, name: str) -> int:
    """Return the number of frames of a signal of this length in samples."""
    return -(-length // INPUTS[name].hop) + 1


@cache
def window(length: int) -> np.ndarray:
    """Return the symmetric Hann window, float32, shape (length,)."""
    return np.hanning(length).astype(np.float32)


@cache
def filter_bank(name: str) -> np.ndarray:
    """Return the filters that sum a spectrum into mel bands.

    Parameters
    ----------
    name
        A key of :data:`INPUTS`.

    Returns
    -------
    numpy.ndarray
        Float32, shape (257, bands); bins are 31.25 Hz apart.
    """
    bank: np.ndarray = INPUTS[name].bank().astype(np.float32)
    return bank


def _musicnn_bank() -> np.ndarray:
    """Return 96 filters from 0 to 8 kHz on Slaney's scale, of unit area."""
    # Accumulated in single precision, as Essentia does: the drift moves a
    # corner by up to 0.03 Hz and a band by up to 3e-4.
    step = np.float32(_slaney_mel(RATE / 2) / 97)
    mels = np.full(98, step)
    mels[0] = 0
    corners = _slaney_hz(np.cumsum(mels).astype(float))
    bank: np.ndarray = (
        _triangles(_bins(), corners) * 2 / (corners[2:] - corners[:-2])
    )
    return bank


def _vggish_bank() -> np.ndarray:
    """Return 64 filters from 125 to 7500 Hz on HTK's scale, of unit peak."""
    # Single precision again: in double, a band would be off by up to 6e-4.
    low, high = np.float32(_htk_mel(125.0)), np.float32(_htk_mel(7500.0))
    mels = np.full(66, (high - low) / np.float32(65), np.float32)
    mels[0] = low
    return _triangles(_htk_mel(_bins()), np.cumsum(mels).astype(float))


def _triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    points = points[:, None]
    rising = (points - low) / (centre - low)
    falling = (high - points) / (high - centre)
    bank: np.ndarray = np.maximum(0, np.minimum(rising, falling))
    return bank


def _bins() -> np.ndarray:
    return np.arange(BINS) * RATE / FFT


def _slaney_mel(hz: float) -> float:
    if hz < BREAK_HZ:
        return hz / LINEAR_HZ
    return BREAK_MEL + float(np.log(hz / BREAK_HZ) / LOG_STEP)


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    logarithmic = BREAK_HZ * np.exp(LOG_STEP * (mel - BREAK_MEL))
    return np.where(mel < BREAK_MEL, LINEAR_HZ * mel, logarithmic)


def _htk_mel(hz: float | np.ndarray) -> np.ndarray:
    mel: np.ndarray = 2595 * np.log10(1 + np.asarray(hz) / 700)
    return mel


MUSICNN, VGGISH = "TensorflowInputMusiCNN", "TensorflowInputVGGish"

# Keyed by the names of Essentia's algorithms.
INPUTS = {
    MUSICNN: MelInput(
        512, 256, 2, _musicnn_bank, lambda x: np.log10(1 + 1e4 * x)
    ),
    VGGISH: MelInput(400, 160, 1, _vggish_bank, lambda x: np.log(x + 0.01)),
}
