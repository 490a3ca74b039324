"""The roll-off below 8 kHz that the models were trained with, as a filter."""

from __future__ import annotations

import numpy as np

from soundtags.audio.mel import FFT, band_edge_gain
from soundtags.audio.resampling import RATE

HALF = FFT // 2 - 1  # taps on either side of the middle one


def correct_band_edge(samples: np.ndarray, edge: float) -> np.ndarray:
    """Apply the roll-off of libsamplerate's resampler to audio from soxr.

    Where only mel bands are needed, the same gain is folded into the filter
    bank at no cost, see :func:`soundtags.audio.mel.filter_bank`. This
    linear-phase filter is for samples that are returned to the user.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape (samples,), float32, at 16 kHz, as soxr returns them.
    edge : float
        End of the band in Hz: half the sampling rate of the source, or 8000
        if that is less.

    Returns
    -------
    numpy.ndarray
        Shape (samples,), float32, without delay.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(16000, dtype=np.float32) / 16000
    >>> middle = slice(1000, -1000)  # without the transients at both ends
    >>> for hz in (7250, 7500):
    ...     tone = np.sin(2 * np.pi * hz * time)
    ...     change = correct_band_edge(tone, 8000)[middle].std() / tone.std()
    ...     print(f"{hz} Hz: {20 * np.log10(change):.0f} dB")
    7250 Hz: -3 dB
    7500 Hz: -12 dB
    """
    corrected: np.ndarray = np.convolve(samples, _taps(edge))
    return corrected[HALF : HALF + len(samples)]


def _taps(edge: float) -> np.ndarray:
    """Return a symmetric filter, designed by frequency sampling."""
    hz = np.arange(FFT // 2 + 1) * RATE / FFT
    gain = np.sqrt(band_edge_gain(edge))
    # Nothing is left above the edge; a jump there would only make it ring.
    gain[hz > edge] = gain[hz <= edge][-1]
    impulse = np.fft.fftshift(np.fft.irfft(gain, FFT))[1:]
    taps: np.ndarray = impulse * np.hanning(2 * HALF + 3)[1:-1]
    return taps.astype(np.float32)
