"""Mel bands to patches, the pieces that the models see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .mel import INPUTS, MUSICNN, VGGISH
from .resampling import RATE


@dataclass(frozen=True)
class FrontEnd:
    """What a model sees at a time.

    Attributes
    ----------
    mel
        The kind of mel bands, a key of :data:`mel.INPUTS`.
    frames
        Length of a patch.
    hop
        Frames between patches when all are wanted.
    spare
        Frames at the end that the reference leaves out.
    batch
        Patches per call of a model: as many as pay, so that of the fewest,
        several calls can go on at a time, with the least memory. MusiCNN's
        convolutions keep a core busy with one; VGGish's layers of 268 MB had
        better be read for many; EffNet's graph wants 64.
    """

    mel: str
    frames: int
    hop: int
    spare: int
    batch: int

    @property
    def mel_hop(self) -> int:
        """Samples between frames."""
        return INPUTS[self.mel].hop

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return RATE / self.mel_hop

    def extent(self, start: int) -> tuple[int, int]:
        """Return from which sample to which a patch depends on the signal.

        Parameters
        ----------
        start
            The frame at which the patch begins.
        """
        around = -(-INPUTS[self.mel].frame // (2 * self.mel_hop))
        end = start + self.frames - 1 + around
        return max(0, start - around) * self.mel_hop, end * self.mel_hop


# By the names of Essentia's algorithms, as in the models' metadata.
FRONT_ENDS = {
    "TensorflowPredictMusiCNN": FrontEnd(MUSICNN, 187, 93, spare=0, batch=1),
    "TensorflowPredictVGGish": FrontEnd(VGGISH, 96, 93, spare=0, batch=16),
    "TensorflowPredictEffnetDiscogs": FrontEnd(
        MUSICNN, 128, 62, spare=1, batch=64
    ),
}


def patch_starts(frames: int, kind: FrontEnd, limit: int | None) -> np.ndarray:
    """Return the frames at which patches begin.

    Parameters
    ----------
    frames
        How many frames there are.
    kind
        What the model sees.
    limit
        At most this many patches, evenly spread from the first frame to the
        last. None gives every patch, half overlapping (nearly end to end for
        VGGish), an incomplete last one left out, as the reference does; so
        does a limit they keep to.
    """
    last = max(0, frames - kind.spare - kind.frames)
    starts = np.arange(0, last + 1, kind.hop)
    if limit is not None and limit < len(starts):
        starts = np.linspace(0, last, limit).round().astype(int)
    return starts


def cut_patches(
    bands: np.ndarray, kind: FrontEnd, starts: np.ndarray
) -> np.ndarray:
    """Cut mel bands into patches.

    Parameters
    ----------
    bands
        Shape (frames, bands). Fewer frames than a patch has are repeated
        until they fill one, as when the models were trained.
    kind
        What the model sees.
    starts
        Frames at which patches begin, as of :func:`patch_starts`.

    Returns
    -------
    numpy.ndarray
        Shape (patches, frames of a patch, bands).
    """
    if len(bands) < kind.frames:
        bands = bands[np.arange(kind.frames) % len(bands)]
    return np.stack([bands[start : start + kind.frames] for start in starts])
