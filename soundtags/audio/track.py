"""A file as samples at 16 kHz; only those needed are in memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundtags.audio.decoding import Audio, decode, seekable
from soundtags.audio.resampling import (
    RATE,
    RESAMPLERS,
    read_segment,
    resampled_blocks,
)
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from soundtags.audio.resampling import Source
    from soundtags.types import Path

# The most samples at 16 kHz to buffer if a file has to be decoded from the
# start: 17 minutes in 64 MB. A longer file is decoded twice: first to learn
# its length, then for its samples.
MAX_BUFFERED = 2**24


def no_checkpoint() -> None:
    """Do nothing, so that the reading goes on."""


@dataclass(frozen=True)
class Track:
    """A file at 16 kHz.

    Attributes
    ----------
    length
        Length in samples.
    source
        Where the samples come from.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    warning
        What is missing, see :attr:`decoding.Audio.warning`.
    """

    length: int
    source: Source
    resampler: str
    warning: str = ""

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.length / RATE

    def segment(self, start: int, stop: int) -> np.ndarray:
        """Return samples from start to stop, float32, shape (samples,).

        Segments have to be read in order: none may start before the one read
        last.

        Raises
        ------
        UnreadableAudio
            If the file ends before ``stop``.
        """
        samples = read_segment(self.source, start, stop, self.resampler)
        if len(samples) < stop - start:
            raise UnreadableAudio(
                "shorter than its header says, or changed while being read"
            )
        return samples


@contextmanager
def open_seekable(path: Path, resampler: str) -> Iterator[Track | None]:
    """Open a file to read a few segments of it.

    Parameters
    ----------
    path
        An audio file.
    resampler
        A key of :data:`resampling.RESAMPLERS`.

    Yields
    ------
    Track or None
        None if the format does not allow exact seeking.

    Raises
    ------
    UnreadableAudio
        If there is no such file.
    """
    method = RESAMPLERS[resampler]
    with seekable(path) as source:
        if source is None:
            yield None
        else:
            length = method.length(source.length * RATE / source.rate)
            yield Track(length, source, resampler)


def open_whole(
    path: Path, resampler: str, checkpoint: Callable[[], None] = no_checkpoint
) -> Track:
    """Open a file to read all of it.

    Parameters
    ----------
    path
        An audio file in any format that can be decoded.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    checkpoint
        Called every few seconds of audio. Whatever it raises ends the reading.

    Raises
    ------
    UnreadableAudio
        If the file holds no audio.
    """
    audio = decode(path)
    buffered: list[np.ndarray] = []
    length = 0
    for block in _checked(resampled_blocks(audio, resampler), checkpoint):
        length += len(block)
        if length <= MAX_BUFFERED:
            buffered.append(block)
        else:
            buffered.clear()
    if not length:
        raise UnreadableAudio("too short: no sample is left at 16 kHz")
    blocks = (
        iter(buffered)
        if buffered
        else resampled_blocks(decode(path), resampler)
    )
    source = Audio(RATE, _checked(blocks, checkpoint))
    return Track(length, source, resampler, audio.warning)


def _checked(
    blocks: Iterator[np.ndarray], checkpoint: Callable[[], None]
) -> Iterator[np.ndarray]:
    for block in blocks:
        checkpoint()
        yield block
