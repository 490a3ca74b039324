"""Where models run: on this machine or others, through the same interface."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from soundtags.audio.decoder_pool import DecoderPool
from soundtags.inference.pipeline import predict_all
from soundtags.inference.predict import FilePredictor
from soundtags.inference.sessions import SessionPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundtags.inference.engine_choice import EngineChoice
    from soundtags.inference.pipeline import Recall, TrackResult
    from soundtags.models.plan import Plan
    from soundtags.types import Path

K = TypeVar("K")


class Executor(Protocol):
    """Reads files and runs models."""

    def predict(
        self, tracks: Iterable[tuple[K, Path]], plan: Plan, recall: Recall
    ) -> Iterator[TrackResult[K]]:
        """Predict many files; an error in one leaves the others alone.

        Parameters
        ----------
        tracks : iterable of (key, path)
            A key of any type and the path of an audio file. Consumed in the
            caller's thread, some tracks ahead of the results.
        plan : Plan
            Which models run on which patches.
        recall : callable
            Returns the predictions of an earlier run, see
            :func:`soundtags.inference.pipeline.predict_all`. An executor need
            not call it.

        Yields
        ------
        TrackResult
            One per track, in any order.

        Raises
        ------
        BrokenModels
            If graphs cannot be used. Tracks without a result can be given
            again, with another plan.
        SoundtagsError
            If no further track can be predicted at all.
        """
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


class LocalExecutor:
    """Threads of this process that run models, and processes that read files.

    Parameters
    ----------
    jobs : int
        Number of threads, and of processes.
    memory : int
        Bytes that open sessions may take.
    choice : EngineChoice, optional
        What runs the graphs; by default, TensorFlow if it loads, else NumPy.
    """

    def __init__(
        self, jobs: int, memory: int, choice: EngineChoice | None = None
    ) -> None:
        self._jobs = jobs
        self._pool = SessionPool(memory, choice)
        self._decoders = DecoderPool(jobs)

    def predict(
        self, tracks: Iterable[tuple[K, Path]], plan: Plan, recall: Recall
    ) -> Iterator[TrackResult[K]]:
        reader = self._decoders.features
        return predict_all(tracks, plan, self._pool, self._jobs, reader, recall)

    def close(self) -> None:
        self._pool.close()
        self._decoders.close()


@contextmanager
def file_predictor(
    jobs: int, memory: int, choice: EngineChoice
) -> Iterator[FilePredictor]:
    """Run models over one file at a time, for as long as the context lasts.

    Parameters
    ----------
    jobs : int
        Number of threads that run models. One process reads files.
    memory : int
        Bytes that open sessions may take.
    choice : EngineChoice
        What runs the graphs.

    Yields
    ------
    FilePredictor
    """
    pool, decoders = SessionPool(memory, choice), DecoderPool(1)
    try:
        with ThreadPoolExecutor(jobs) as workers:
            yield FilePredictor(pool, workers.map, decoders.features)
    finally:
        pool.close()
        decoders.close()
