"""Patches: the pieces of mel bands that models take as input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soundtags.audio.mel import INPUTS, MUSICNN, VGGISH
from soundtags.audio.resampling import RATE


@dataclass(frozen=True)
class FrontEnd:
    """How the input of a model is cut from mel bands.

    Attributes
    ----------
    mel
        Kind of mel bands: a key of :data:`mel.INPUTS`.
    frames
        Length of a patch in frames.
    hop
        Frames from one patch to the next if all are taken.
    spare
        Frames at the end that Essentia leaves out.
    batch
        Patches per call of a model: as few as keep a core busy, so that calls
        run side by side and take little memory. One is enough for MusiCNN's
        convolutions; VGGish's layers of 268 MB are better read for many
        patches at a time; the graph of EffNet takes exactly 64.
    """

    mel: str
    frames: int
    hop: int
    spare: int
    batch: int

    @property
    def mel_hop(self) -> int:
        """Samples from one frame to the next."""
        return INPUTS[self.mel].hop

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return RATE / self.mel_hop

    def extent(self, start: int) -> tuple[int, int]:
        """Return the samples that a patch depends on, as start and stop.

        Parameters
        ----------
        start
            First frame of the patch.
        """
        around = -(-INPUTS[self.mel].frame // (2 * self.mel_hop))
        end = start + self.frames - 1 + around
        return max(0, start - around) * self.mel_hop, end * self.mel_hop


# Keyed by Essentia's algorithms, as the models' metadata name them.
FRONT_ENDS = {
    "TensorflowPredictMusiCNN": FrontEnd(MUSICNN, 187, 93, spare=0, batch=1),
    "TensorflowPredictVGGish": FrontEnd(VGGISH, 96, 93, spare=0, batch=16),
    "TensorflowPredictEffnetDiscogs": FrontEnd(
        MUSICNN, 128, 62, spare=1, batch=64
    ),
}


def patch_starts(
    frames: int, front_end: FrontEnd, limit: int | None
) -> np.ndarray:
    """Return the first frame of each patch.

    Parameters
    ----------
    frames
        Number of frames of the track.
    front_end
        How patches are cut.
    limit
        The largest number of patches, evenly spread from the first frame to
        the last. None, or a limit that is not reached, gives all patches as
        Essentia cuts them: half overlapping (almost end to end for VGGish),
        without an incomplete last one.

    Returns
    -------
    numpy.ndarray
        Frame numbers, int, shape (patches,).

    Examples
    --------
    >>> front_end = FRONT_ENDS["TensorflowPredictMusiCNN"]
    >>> patch_starts(500, front_end, None).tolist()
    [0, 93, 186, 279]
    >>> patch_starts(500, front_end, 2).tolist()
    [0, 313]
    """
    last = max(0, frames - front_end.spare - front_end.frames)
    if limit is None or limit > last // front_end.hop:
        return np.arange(0, last + 1, front_end.hop)
    starts: np.ndarray = np.linspace(0, last, limit).round().astype(int)
    return starts


def cut_patches(
    bands: np.ndarray, front_end: FrontEnd, starts: np.ndarray
) -> np.ndarray:
    """Cut mel bands into patches.

    Parameters
    ----------
    bands
        Mel bands, float32, shape (frames, bands). If there are too few frames
        for a patch, they are repeated, as they were in training.
    front_end
        How patches are cut.
    starts
        First frame of each patch, as :func:`patch_starts` returns them.

    Returns
    -------
    numpy.ndarray
        Float32, shape (patches, frames of a patch, bands).
    """
    length = front_end.frames
    if len(bands) < length:
        bands = bands[np.arange(length) % len(bands)]
    return np.stack([bands[start : start + length] for start in starts])
