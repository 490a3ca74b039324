"""16 kHz signal to mel bands: the front ends of the models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from .blas import single_threaded
from .resampling import RATE, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

FFT = 512  # samples
BINS = FFT // 2 + 1
BLOCK = 4096  # frames transformed at a time, to bound memory

# The Slaney mel scale: linear up to 1 kHz, logarithmic above.
LINEAR_HZ = 200 / 3  # Hz per mel
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ
LOG_STEP = np.log(6.4) / 27  # per mel


@dataclass(frozen=True)
class MelInput:
    """How one kind of model wants its mel bands.

    Attributes
    ----------
    frame, hop
        In samples.
    exponent
        Of the magnitude spectrum: 2 for power.
    bank
        Returns the triangles, shape (257, bands).
    compress
        What is done to the energies of the bands.
    """

    frame: int
    hop: int
    exponent: int
    bank: Callable[[], np.ndarray]
    compress: Callable[[np.ndarray], np.ndarray]


def mel_bands(signal: Signal, name: str) -> np.ndarray:
    """Return the log-compressed mel bands of a whole signal.

    The first frame is centred on the first sample and the last one on or
    just behind the end, with zeros around. The numbers agree with Essentia's
    algorithms of the same names: MusiCNN's to 5e-5, VGGish's to 1e-4, or 3e-4
    where a band is next to empty.

    Parameters
    ----------
    signal
        A 16 kHz signal.
    name
        A key of :data:`INPUTS`.

    Returns
    -------
    numpy.ndarray
        Shape (frames, bands), float32; one frame every hop.
    """
    kind = INPUTS[name]
    samples = signal.samples
    count = frame_count(len(samples), name)
    padded = np.zeros((count - 1) * kind.hop + kind.frame, np.float32)
    padded[kind.frame // 2 : kind.frame // 2 + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, kind.frame)
    frames = frames[:: kind.hop]
    bank = filter_bank(name, signal.edge)
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
    """Return how many frames a signal of so many samples has."""
    return -(-length // INPUTS[name].hop) + 1


@cache
def window(length: int) -> np.ndarray:
    """Return the symmetric Hann window."""
    return np.hanning(length).astype(np.float32)


@cache
def filter_bank(name: str, edge: float | None) -> np.ndarray:
    """Return the triangles that sum spectra into mel bands.

    Parameters
    ----------
    name
        A key of :data:`INPUTS`.
    edge
        End of the band in Hz, to fold the band-edge gain into the triangles;
        None to leave it out.

    Returns
    -------
    numpy.ndarray
        Shape (257, bands), float32: from bins of 31.25 Hz.
    """
    kind = INPUTS[name]
    bank = kind.bank()
    if edge is not None:
        bank = bank * band_edge_gain(edge)[:, None] ** (kind.exponent / 2)
    folded: np.ndarray = bank.astype(np.float32)
    return folded


def band_edge_gain(edge: float) -> np.ndarray:
    """Return the power gain per bin, shape (257,).

    The models were trained behind a resampler that rolls off below the end
    of the band, where soxr's passes all: without the gain whole genres flip.
    The roll-off was measured below 8 kHz, for sources of 22.05 kHz and more.
    It scales: below 16 kHz, the band ends at half the source's rate.

    Parameters
    ----------
    edge
        End of the band in Hz.
    """
    text = files(__package__).joinpath("band_edge_gain.csv").read_text()
    table = np.loadtxt(text.splitlines(), delimiter=",", skiprows=1)
    _, hz, gain = table.T
    scaled: np.ndarray = np.interp(hz * RATE / 2 / edge, hz, gain, right=1.0)
    return scaled


def _musicnn_bank() -> np.ndarray:
    """96 bands from 0 to 8 kHz: Slaney's scale, linear in Hz, unit area."""
    # Summed up in single precision like the reference's: the drift moves a
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
    """64 bands from 125 to 7500 Hz: HTK's scale, linear in mel, unit peak."""
    # In single precision, too: otherwise a band is off by up to 6e-4.
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

# By the names of Essentia's algorithms.
INPUTS = {
    MUSICNN: MelInput(
        512, 256, 2, _musicnn_bank, lambda x: np.log10(1 + 1e4 * x)
    ),
    VGGISH: MelInput(400, 160, 1, _vggish_bank, lambda x: np.log(x + 0.01)),
}
