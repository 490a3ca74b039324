"""16 kHz signal to mel bands: the front end of the MusiCNN and VGG models."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from .resampling import RATE, Signal

FRAME = 512  # samples
HOP = 256  # samples
BINS = FRAME // 2 + 1
BANDS = 96
BLOCK = 4096  # frames transformed at a time, to bound memory

# The Slaney mel scale: linear up to 1 kHz, logarithmic above.
LINEAR_HZ = 200 / 3  # Hz per mel
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ
LOG_STEP = np.log(6.4) / 27  # per mel


def mel_bands(signal: Signal) -> np.ndarray:
    """Return the log-compressed mel bands of a whole signal.

    The first frame is centred on the first sample and the last one on or
    just behind the end, with zeros around. The numbers agree with Essentia's
    ``TensorflowInputMusiCNN`` to 5e-5.

    Parameters
    ----------
    signal
        A 16 kHz signal.

    Returns
    -------
    numpy.ndarray
        Shape (frames, 96), float32, ``log10(1 + 10000 x)`` of band powers;
        one frame every 256 samples.
    """
    samples = signal.samples
    count = -(-len(samples) // HOP) + 1
    padded = np.zeros((count - 1) * HOP + FRAME, np.float32)
    padded[FRAME // 2 : FRAME // 2 + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    bank = filter_bank(signal.edge)
    bands = np.empty((count, BANDS), np.float32)
    for start in range(0, count, BLOCK):
        block = frames[start : start + BLOCK] * window()
        spectrum = np.fft.rfft(block)
        power = spectrum.real**2 + spectrum.imag**2
        bands[start : start + BLOCK] = np.log10(1 + 1e4 * (power @ bank))
    return bands


@cache
def window() -> np.ndarray:
    """Return the symmetric Hann window, shape (512,)."""
    return np.hanning(FRAME).astype(np.float32)


@cache
def filter_bank(edge: float | None) -> np.ndarray:
    """Return the triangles that sum power spectra into mel bands.

    Parameters
    ----------
    edge
        End of the band in Hz, to fold the band-edge gain into the triangles;
        None to leave it out.

    Returns
    -------
    numpy.ndarray
        Shape (257, 96), float32: bins of 31.25 Hz to bands from 0 to 8 kHz.
    """
    hz = np.arange(BINS)[:, None] * RATE / FRAME
    # Summed up in single precision like the reference's: the drift moves a
    # corner by up to 0.03 Hz and a band by up to 3e-4.
    step = np.float32(_mel_from_hz(RATE / 2) / (BANDS + 1))
    mels = np.full(BANDS + 2, step)
    mels[0] = 0
    corners = _hz_from_mel(np.cumsum(mels).astype(float))
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (hz - low) / (centre - low)
    falling = (high - hz) / (high - centre)
    bank = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    if edge is not None:
        bank *= band_edge_gain(edge)[:, None]
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


def _mel_from_hz(hz: float) -> float:
    if hz < BREAK_HZ:
        return hz / LINEAR_HZ
    return BREAK_MEL + float(np.log(hz / BREAK_HZ) / LOG_STEP)


def _hz_from_mel(mel: np.ndarray) -> np.ndarray:
    logarithmic = BREAK_HZ * np.exp(LOG_STEP * (mel - BREAK_MEL))
    return np.where(mel < BREAK_MEL, LINEAR_HZ * mel, logarithmic)
