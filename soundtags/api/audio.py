"""From files to samples, and from samples to mel bands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from soundtags.api.common import naming, warn
from soundtags.audio import mel
from soundtags.audio.decoding import PEAK, decode
from soundtags.audio.patches import FRONT_ENDS
from soundtags.audio.resampling import RESAMPLERS, check_installed, resample
from soundtags.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Collection

    from soundtags.api.common import AnyPath
    from soundtags.audio.patches import FrontEnd

# What mel_bands calls the front ends.
KINDS = {
    "musicnn": "TensorflowPredictMusiCNN",
    "vggish": "TensorflowPredictVGGish",
    "effnet": "TensorflowPredictEffnetDiscogs",
}

# Resampling may somewhat exceed the level at which decoding clips.
LOUDEST = 10 * PEAK


def load(path: AnyPath, resampler: str = "sinc") -> np.ndarray:
    """Read an audio file as mono samples at 16 kHz.

    Corresponds to Essentia's ``MonoLoader`` with ``sampleRate=16000``,
    including its roll-off below 8 kHz, to which the models are sensitive.
    Channels are averaged; nothing is clipped at full scale.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        A file in any format that libsndfile or FFmpeg can read.
    resampler : str
        ``"sinc"``, which uses the filter of libsamplerate, as Essentia does;
        or ``"resampy"``, which the auto-taggers were trained with.

    Returns
    -------
    numpy.ndarray
        The whole file, shape (samples,), float32, full scale at 1.0. A minute
        takes 4 MB.

    Raises
    ------
    UnreadableAudio
        If the file does not exist, or contains no audio that can be decoded.
    ParameterError
        If there is no such resampler.
    NoResampler
        If it is not installed.

    Examples
    --------
    >>> import soundtags
    >>> audio = soundtags.load("song.flac")
    >>> audio.shape, audio.dtype
    ((386462,), dtype('float32'))
    """
    _check_name(resampler, RESAMPLERS, "resampler")
    check_installed(resampler)
    with naming(path):
        audio = decode(os.fspath(path))
        samples = resample(audio, resampler)
    warn(path, audio.warning)
    return samples


def mel_bands(audio: np.ndarray, kind: str) -> np.ndarray:
    """Compute the log-compressed mel bands that a family of models takes.

    Corresponds to Essentia's ``TensorflowInputMusiCNN`` or
    ``TensorflowInputVGGish``, applied to the frames of a ``FrameGenerator``.
    Values agree to 1e-4, or to 3e-4 in VGGish bands that are almost empty.

    Parameters
    ----------
    audio : numpy.ndarray
        Shape (samples,), floating point, at 16 kHz, as returned by
        :func:`load`.
    kind : str
        ``"musicnn"`` (also for the VGG auto-taggers), ``"vggish"`` or
        ``"effnet"``.

    Returns
    -------
    numpy.ndarray
        Shape (frames, bands), float32. ``"musicnn"`` and ``"effnet"`` have 96
        bands from 0 to 8000 Hz and a frame every 256 samples; ``"vggish"``
        has 64 bands from 125 to 7500 Hz and a frame every 160 samples. The
        first frame is centred on the first sample.

    Raises
    ------
    ParameterError
        If there is no such kind, or if the audio is not such an array, is
        empty, contains NaN or infinity, or is far beyond full scale.

    References
    ----------
    Pons, J. and Serra, X. (2019). "musicnn: Pre-trained convolutional neural
    networks for music audio tagging." Late-breaking demo, ISMIR.

    Hershey, S. et al. (2017). "CNN architectures for large-scale audio
    classification." ICASSP.

    Slaney, M. (1998). "Auditory Toolbox", whose mel scale ``"musicnn"`` and
    ``"effnet"`` use; ``"vggish"`` uses that of HTK.

    Examples
    --------
    >>> import numpy as np
    >>> import soundtags
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> soundtags.mel_bands(tone, "musicnn").shape
    (64, 96)
    >>> soundtags.mel_bands(tone, "vggish").shape
    (101, 64)
    """
    _check_name(kind, KINDS, "kind of mel bands")
    front_end = FRONT_ENDS[KINDS[kind]]
    bands = all_mel_bands(audio, front_end)
    return bands[: len(bands) - front_end.spare]


def all_mel_bands(audio: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Check the audio, and return its mel bands including spare frames."""
    _check_audio(audio)
    return mel.mel_bands(audio.astype(np.float32, copy=False), front_end.mel)


def _check_audio(audio: np.ndarray) -> None:
    if not isinstance(audio, np.ndarray):
        raise ParameterError(
            f"audio must be a NumPy array, not {type(audio).__name__}"
        )
    if audio.ndim != 1:
        raise ParameterError(
            f"audio must be mono, of shape (samples,), not {audio.shape}"
        )
    if not np.issubdtype(audio.dtype, np.floating):
        raise ParameterError(
            f"audio must be floating point, full scale at 1.0, not"
            f" {audio.dtype}"
        )
    if not len(audio):
        raise ParameterError("audio is empty")
    if not np.isfinite(audio).all():
        raise ParameterError("audio contains NaN or infinity")
    if np.abs(audio).max() > LOUDEST:
        raise ParameterError(
            f"audio must have full scale at 1.0; it has samples beyond"
            f" {LOUDEST:g}"
        )


def _check_name(name: object, known: Collection[str], what: str) -> None:
    if not isinstance(name, str) or name not in known:
        listed = ", ".join(map(repr, known))
        raise ParameterError(f"unknown {what} {name!r}; use one of {listed}")
