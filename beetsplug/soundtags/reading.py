"""File to 16 kHz samples: no more of them at a time than wanted."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .decoding import Audio, decode, seekable
from .errors import Stopped, UnreadableAudio
from .resampling import RATE, RESAMPLERS, Signal, pieces, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from .decoding import Path
    from .resampling import Source

# Samples at 16 kHz that are kept of a file that has to be decoded as a whole:
# 17 minutes in 64 MB. Longer ones are decoded twice, to know how long they
# are, and then for their samples.
KEPT = 2**24


@dataclass(frozen=True)
class Track:
    """A file at 16 kHz.

    Attributes
    ----------
    length
        In samples.
    edge
        Where the band ends; see :class:`resampling.Signal`.
    source
        Where samples come from.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    """

    length: int
    edge: float | None
    source: Source
    resampler: str

    @property
    def seconds(self) -> float:
        return self.length / RATE

    def stretch(self, start: int, stop: int) -> Signal:
        """Return samples from start to stop; the next must not begin before.

        Raises
        ------
        UnreadableAudio
            If they are not there.
        """
        samples = read(self.source, start, stop, self.resampler)
        if len(samples) < stop - start:
            raise UnreadableAudio("shorter than it says, or changed meanwhile")
        return Signal(samples, self.edge)


@contextmanager
def sought(path: Path, resampler: str) -> Iterator[Track | None]:
    """Open a file to read some stretches of it.

    Parameters
    ----------
    path
        An audio file.
    resampler
        A key of :data:`resampling.RESAMPLERS`.

    Yields
    ------
    Track or None
        None if its format has to be decoded as a whole.

    Raises
    ------
    UnreadableAudio
        If there is no such file.
    """
    how = RESAMPLERS[resampler]
    with seekable(path) as source:
        if source is None:
            yield None
        else:
            length = how.length(source.length * RATE / source.rate)
            yield Track(length, how.edge(source.rate), source, resampler)


def decoded(
    path: Path, resampler: str, stopped: Callable[[], bool] = lambda: False
) -> Track:
    """Decode a whole file.

    Parameters
    ----------
    path
        An audio file in any format that can be decoded.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    stopped
        Asked every few seconds of audio whether to give up.

    Raises
    ------
    UnreadableAudio
        If there is no audio in it.
    Stopped
        If it was told to give up.
    """
    audio = decode(path)
    edge = RESAMPLERS[resampler].edge(audio.rate)
    kept: list[np.ndarray] = []
    length = 0
    for piece in _until(stopped, pieces(audio, resampler)):
        length += len(piece)
        if length <= KEPT:
            kept.append(piece)
        else:
            kept.clear()
    if not length:
        raise UnreadableAudio("too short: no sample is left at 16 kHz")
    again = iter(kept) if kept else pieces(decode(path), resampler)
    source = Audio(RATE, _until(stopped, again))
    return Track(length, edge, source, resampler)


def _until(
    stopped: Callable[[], bool], blocks: Iterator[np.ndarray]
) -> Iterator[np.ndarray]:
    for block in blocks:
        if stopped():
            raise Stopped
        yield block
