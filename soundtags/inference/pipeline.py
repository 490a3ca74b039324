"""Many files through the models, on all cores.

::

    (key, path)
      -> read          files to chunks of features     worker threads
      -> recall        tracks that are in the cache    caller's thread
      -> load models   at the first chunk to be run    caller's thread
      -> group         chunks that fill a call         caller's thread
      -> run           features to model outputs       worker threads
      -> pool          outputs to track predictions    caller's thread
      -> TrackResult

The stages are a chain of generators of :class:`Chunk`. They replace a chunk
by one that holds more, and never change the order.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from soundtags.audio.features import features
from soundtags.audio.patches import FRONT_ENDS
from soundtags.errors import (
    BrokenModels,
    NoDecoderProcess,
    SoundtagsError,
    Stopped,
    capture_errors,
)
from soundtags.inference.chunk import Chunk, read_chunks
from soundtags.inference.pooling import pool_outputs
from soundtags.inference.predict import graph_specs, plan_nodes, predict

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Generator,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from concurrent.futures import Future

    from soundtags.audio.features import FeatureReader, Features
    from soundtags.inference.pooling import TrackPredictions
    from soundtags.inference.predict import ModelOutputs
    from soundtags.inference.sessions import SessionPool
    from soundtags.models.plan import Plan
    from soundtags.types import Path

    Recall = Callable[[Mapping[str, str], Plan], TrackPredictions | None]

K = TypeVar("K")
T = TypeVar("T")

PREFETCH = 4  # tracks per thread that are read ahead
# Limits of a group where not all models fit into memory together.
GROUP_SIZE = 32  # chunks
GROUP_MEMORY = 256 * 2**20  # bytes of their patches


@dataclass(frozen=True)
class TrackResult(Generic[K]):
    """The result for one track: its predictions or an error, never both.

    Attributes
    ----------
    key
        The key that came with the track.
    predictions : TrackPredictions or None
        The predictions of all models.
    error : SoundtagsError or None
        Why there are no predictions.
    warning : str
        What the predictions leave out of the file; empty if nothing.
    """

    key: K
    predictions: TrackPredictions | None = None
    error: SoundtagsError | None = None
    warning: str = ""

    def unwrap(self) -> TrackPredictions:
        """Return the predictions, or raise the error."""
        if self.predictions is None:
            raise self.error or ValueError("neither predictions nor an error")
        return self.predictions


def predict_all(
    tracks: Iterable[tuple[K, Path]],
    plan: Plan,
    pool: SessionPool,
    jobs: int,
    reader: FeatureReader = features,
    recall: Recall = lambda *_: None,
) -> Generator[TrackResult[K], None, None]:
    """Predict many files, in order; an error in one leaves the others alone.

    Results are the same to the last bit for any number of threads: each call
    of a model runs in one thread, on a number of rows that is fixed.

    Parameters
    ----------
    tracks : iterable of (key, path)
        A key of any type and the path of an audio file. Consumed in the
        caller's thread, some tracks ahead of the results.
    plan : Plan
        Which models run on which patches.
    pool : SessionPool
        Runs the graphs.
    jobs : int
        Number of worker threads.
    reader : callable
        Reads a file, as :func:`soundtags.audio.features.features` does; it
        may do so in another process.
    recall : callable
        Called in the caller's thread with the digests of a track's patches
        and the plan. Returns the predictions of an earlier run; None if a
        model is missing from them.

    Yields
    ------
    TrackResult
        One per track.

    Raises
    ------
    BrokenModels
        If graphs cannot be used, before any model runs. Until then, only
        recalled tracks and errors are yielded.
    NoTensorFlow
        If the models have to run on TensorFlow, but it does not load.
    NoDecoderProcess
        If no process can be started to read files.
    """
    pipeline = _Pipeline[K](plan, pool, jobs, reader, recall)
    try:
        yield from pipeline.results(tracks)
    finally:
        pipeline.close()


class _Pipeline(Generic[K]):
    """The stages from tracks to results, and the threads they share.

    Worker threads do whatever comes next, be it reading a chunk or calling a
    model, so that no core waits for another.
    """

    def __init__(
        self,
        plan: Plan,
        pool: SessionPool,
        jobs: int,
        reader: FeatureReader,
        recall: Recall,
    ) -> None:
        self._plan = plan
        self._pool = pool
        self._jobs = jobs
        self._reader = reader
        self._recall = recall
        self._nodes = plan_nodes(plan)
        self._specs = graph_specs(plan)
        self._fits = pool.fits(self._specs)
        self._stopped = threading.Event()
        self._workers = ThreadPoolExecutor(jobs, "soundtags")
        # A dispatcher only waits for the calls of its group. If not all
        # models fit into memory, two groups at a time would evict each
        # other's models.
        dispatchers = jobs if self._fits else 1
        self._dispatchers = ThreadPoolExecutor(dispatchers, "soundtags-group")

    def results(
        self, tracks: Iterable[tuple[K, Path]]
    ) -> Iterator[TrackResult[K]]:
        """Chain all stages."""
        chunks = map(self._recall_track, self._read(tracks))
        groups = self._group(self._load_models(chunks))
        return self._pool_tracks(self._run(groups))

    def close(self) -> None:
        """Stop reading, and wait for the threads to end."""
        self._stopped.set()
        self._dispatchers.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(cancel_futures=True)
        self._dispatchers.shutdown()

    def _checkpoint(self) -> None:
        if self._stopped.is_set():
            raise Stopped

    def _read(self, tracks: Iterable[tuple[K, Path]]) -> Iterator[Chunk[K]]:
        """Read files, several at a time, and each one chunk ahead."""
        opened = map(self._open, tracks)
        for chunks, future in _prefetch(opened, PREFETCH * self._jobs):
            chunk = future.result()
            while not chunk.is_last:
                future = self._workers.submit(next, chunks)
                yield chunk
                chunk = future.result()
            yield chunk

    def _open(
        self, track: tuple[K, Path]
    ) -> tuple[Iterator[Chunk[K]], Future[Chunk[K]]]:
        """Start reading a file; return chunks, and a future of the first."""
        key, path = track
        read = self._reader(path, self._plan.feature_spec, self._checkpoint)
        chunks = read_chunks(key, read)
        return chunks, self._workers.submit(next, chunks)

    def _recall_track(self, chunk: Chunk[K]) -> Chunk[K]:
        """Replace the features of a track by its predictions in the cache."""
        is_whole = chunk.is_first and chunk.is_last
        if chunk.features is None or not is_whole:
            return chunk
        predictions = self._recall(chunk.features.inputs, self._plan)
        if predictions is None:
            return chunk
        return replace(chunk, features=None, predictions=predictions)

    def _load_models(self, chunks: Iterable[Chunk[K]]) -> Iterator[Chunk[K]]:
        """Load TensorFlow and the models before the first chunk to be run.

        This happens in the caller's thread, where Ctrl-C can interrupt it,
        while the worker threads go on reading.
        """
        loaded = False
        for chunk in chunks:
            if chunk.features and not loaded:
                faults = self._pool.check(self._specs)
                if faults:
                    raise BrokenModels(faults)
                loaded = True
            yield chunk

    def _group(self, chunks: Iterable[Chunk[K]]) -> Iterator[list[Chunk[K]]]:
        """Collect chunks until they fill the largest call, or a group."""
        share = _share_of_call(self._plan) if self._fits else _share_of_turn
        group: list[Chunk[K]] = []
        filled = 0.0
        for chunk in chunks:
            if not group and chunk.features is None:
                yield [chunk]  # nothing to run, so nothing to wait for
                continue
            more = share(chunk.features) if chunk.features else 0.0
            if group and filled + more > 1:
                yield group
                group, filled = [], 0.0
            group.append(chunk)
            filled += more
            if filled >= 1:
                yield group
                group, filled = [], 0.0
        if group:
            yield group

    def _run(self, groups: Iterable[list[Chunk[K]]]) -> Iterator[Chunk[K]]:
        """Run the models over groups, several at a time."""
        running = (
            self._dispatchers.submit(self._run_group, group) for group in groups
        )
        for future in _prefetch(running, self._jobs):
            yield from future.result()

    def _run_group(self, group: list[Chunk[K]]) -> list[Chunk[K]]:
        """Run the models over a group; an error applies to all its chunks."""
        patches = [each.features.patches for each in group if each.features]
        outputs = capture_errors(
            predict, patches, self._nodes, self._pool, self._workers.map
        )
        if isinstance(outputs, SoundtagsError):
            return [
                replace(each, error=outputs) if each.features else each
                for each in group
            ]
        computed = iter(outputs)
        return [
            replace(each, outputs=next(computed)) if each.features else each
            for each in group
        ]

    def _pool_tracks(
        self, chunks: Iterable[Chunk[K]]
    ) -> Iterator[TrackResult[K]]:
        """Put the chunks of each track together."""
        error: SoundtagsError | None = None
        outputs: list[ModelOutputs] = []
        for chunk in chunks:
            error = error or chunk.error
            if chunk.outputs:
                outputs.append(chunk.outputs)
            if chunk.is_last:
                yield self._result(chunk, outputs, error)
                error, outputs = None, []

    def _result(
        self,
        last: Chunk[K],
        outputs: Sequence[ModelOutputs],
        error: SoundtagsError | None,
    ) -> TrackResult[K]:
        if isinstance(error, NoDecoderProcess):
            raise error  # no other file can be read either
        if error:
            return TrackResult(last.key, error=error)
        if last.features is None:
            return TrackResult(last.key, last.predictions, warning=last.warning)
        pooled = capture_errors(
            pool_outputs, outputs, last.features, self._plan
        )
        if isinstance(pooled, SoundtagsError):
            return TrackResult(last.key, error=pooled)
        return TrackResult(last.key, pooled, warning=last.warning)


def _prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """Yield items in order, taking up to `depth` of them ahead of time."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > depth:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def _share_of_call(plan: Plan) -> Callable[[Features], float]:
    """Return a function for a chunk's share of the largest call."""
    widest = max(plan.front_ends, key=lambda name: FRONT_ENDS[name].batch)
    batch = FRONT_ENDS[widest].batch
    return lambda chunk: len(chunk.patches.get(widest, ())) / batch


def _share_of_turn(chunk: Features) -> float:
    """Return the share of a group's limits that a chunk takes."""
    return max(1 / GROUP_SIZE, chunk.memory / GROUP_MEMORY)
