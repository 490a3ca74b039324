"""Chunks of tracks, as they go through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from soundtags.errors import SoundtagsError, capture_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundtags.audio.features import Features
    from soundtags.inference.pooling import TrackPredictions
    from soundtags.inference.predict import ModelOutputs

K = TypeVar("K")


@dataclass(frozen=True)
class Chunk(Generic[K]):
    """Patches of a track that go through the pipeline together.

    Attributes
    ----------
    key
        The key that came with the track.
    is_first, is_last : bool
        Whether it is the first or the last chunk of the track.
    features : Features or None
        The patches, unless reading failed or the models need not run.
    outputs : ModelOutputs or None
        The outputs of the models, once they have run.
    predictions : TrackPredictions or None
        The predictions for the whole track, if the cache has them.
    error : SoundtagsError or None
        Why the chunk could not be read, or the models could not be run.
    warning : str
        What is missing from the file, see :class:`Features`.
    """

    key: K
    is_first: bool
    is_last: bool = True
    features: Features | None = None
    outputs: ModelOutputs | None = None
    predictions: TrackPredictions | None = None
    error: SoundtagsError | None = None
    warning: str = ""


def read_chunks(key: K, read: Iterator[Features]) -> Iterator[Chunk[K]]:
    """Yield the chunks of a file; an error becomes the last of them."""
    is_first, is_last = True, False
    while not is_last:
        found = capture_errors(next, read)
        if isinstance(found, SoundtagsError):
            yield Chunk(key, is_first, error=found)
            return
        is_last = found.last
        yield Chunk(key, is_first, is_last, found, warning=found.warning)
        is_first = False
