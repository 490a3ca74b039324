"""One run of tracks through the workers of a cluster."""

from __future__ import annotations

import os
import pickle
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from soundtags.audio.features import features
from soundtags.audio.patches import FRONT_ENDS
from soundtags.errors import (
    BrokenModels,
    CrashedWorker,
    LostCluster,
    SoundtagsError,
    UnexpectedFailure,
    UnfitWorker,
    UnsharedFile,
    WrongDigest,
    capture_errors,
    first_line,
)
from soundtags.inference.dask.messages import (
    Failed,
    GraphFile,
    Lost,
    MissingGraphs,
    Predicted,
    PredictTracks,
    Reply,
    StoreGraphs,
    plan_models,
    portable_plan,
)
from soundtags.inference.dask.retries import Batch, RetryPolicy
from soundtags.inference.dask.worker_pool import WorkerPool
from soundtags.inference.pipeline import GROUP_SIZE, TrackResult
from soundtags.inference.predict import graph_specs
from soundtags.inference.sessions import SessionPool
from soundtags.version import PACKAGE, package_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from logging import Logger

    from soundtags.inference.dask.messages import Request
    from soundtags.inference.dask.paths import PathMapping
    from soundtags.models.plan import Plan

K = TypeVar("K")

PREFETCH = 2  # tasks under way per thread of a worker
POLL_INTERVAL = 1.0  # seconds to wait for replies before workers are checked

# What a task evaluates. A function of this package would have to be unpickled,
# also by the scheduler, which need not have the package; and a worker without
# it could not report that.
CALL = (
    "__import__('soundtags.inference.dask.worker', fromlist=['answer'])"
    ".answer(version, payload)"
)


class Run(Generic[K]):
    """Sends tracks to the workers of a cluster, and collects the results.

    Parameters
    ----------
    client : distributed.Client
        The connection to the scheduler.
    mapping
        Where workers find files.
    plan
        Which models to run.
    session_memory
        Bytes that open sessions may take, on each worker.
    logger
        Gets a warning for each worker that is excluded.
    """

    def __init__(
        self,
        client: Any,
        mapping: PathMapping,
        plan: Plan,
        session_memory: int,
        logger: Logger,
    ) -> None:
        from distributed import as_completed

        self._client = client
        self._mapping = mapping
        self._plan = plan
        self._portable_plan = portable_plan(plan)
        self._session_memory = session_memory
        self._batch_size = _tracks_per_batch(plan, session_memory)
        self._retry_policy = RetryPolicy()
        self._workers = WorkerPool(client, logger)
        self._completed = as_completed(
            loop=client.loop, with_results=True, raise_errors=False
        )
        # What is under way, by future: batches at any worker, and transfers of
        # graphs to the worker with that address.
        self._batches: dict[Any, Batch[K]] = {}
        self._transfers: dict[Any, str] = {}
        # Of these, the futures that only some workers may run.
        self._restricted: dict[Any, list[str]] = {}
        self._retries: deque[Batch[K]] = deque()
        # Batches that wait for a transfer, by the address of the worker.
        self._waiting: defaultdict[str, list[Batch[K]]] = defaultdict(list)

    def results(
        self, tracks: Iterator[tuple[K, bytes | str]]
    ) -> Iterator[TrackResult[K]]:
        """Yield a result per track, in the order in which they arrive."""
        try:
            self._workers.refresh()
            while True:
                yield from self._send_batches(tracks)
                if not self._batches and not self._transfers:
                    return
                for future, value in self._wait():
                    yield from self._receive(future, _reply(future, value))
        finally:
            with suppress(Exception):  # the cluster may have gone
                self._client.cancel([*self._batches, *self._transfers])

    def _send_batches(
        self, tracks: Iterator[tuple[K, bytes | str]]
    ) -> Iterator[TrackResult[K]]:
        """Send as many batches as keep the workers busy; yield what fails."""
        limit = PREFETCH * max(1, self._workers.threads)
        while self._under_way < limit:
            if self._retries:
                batch = self._retries.popleft()
            elif some := tuple(islice(tracks, self._batch_size)):
                batch = Batch(some)
            else:
                return
            yield from self._send_batch(batch)

    @property
    def _under_way(self) -> int:
        waiting = sum(map(len, self._waiting.values()))
        return len(self._batches) + len(self._transfers) + waiting

    def _send_batch(self, batch: Batch[K]) -> Iterator[TrackResult[K]]:
        tracks, files = [], []
        for key, path in batch.tracks:
            file = capture_errors(self._mapping.remote_file, path)
            if isinstance(file, SoundtagsError):
                yield TrackResult(key, error=file)
            else:
                tracks.append((key, path))
                files.append(file)
        if files:
            plan, memory = self._portable_plan, self._session_memory
            request = PredictTracks(plan, memory, tuple(files))
            workers = self._workers.usable(batch.avoid)
            future = self._submit(request, workers)
            self._batches[future] = replace(batch, tracks=tuple(tracks))

    def _send_graphs(self, address: str, graphs: Iterable[GraphFile]) -> None:
        models = {GraphFile.of(m): m for m in plan_models(self._plan)}
        contents = {g: models[g].graph.read_bytes() for g in graphs}
        future = self._submit(StoreGraphs(contents), [address])
        self._transfers[future] = address

    def _submit(self, request: Request, workers: list[str] | None) -> Any:
        payload = pickle.dumps(request)
        future = self._client.submit(
            eval,
            CALL,
            {"version": package_version(), "payload": payload},
            pure=False,
            workers=workers,
        )
        if workers:
            self._restricted[future] = workers
        self._completed.add(future)
        return future

    def _wait(self) -> list[tuple[Any, Any]]:
        """Wait for tasks to finish: return their futures and values."""
        while True:
            with self._completed.thread_condition:
                if not self._completed.has_ready():
                    self._completed.thread_condition.wait(POLL_INTERVAL)
            if self._client.status != "running":
                raise LostCluster(
                    "lost the cluster's scheduler; finished tracks are stored,"
                    " so run the command again to continue"
                )
            finished = self._completed.next_batch(block=False)
            if finished:
                return cast("list[tuple[Any, Any]]", finished)
            self._workers.refresh()
            self._cancel_orphans()

    def _cancel_orphans(self) -> None:
        """Cancel tasks whose workers have all left."""
        for future, workers in self._restricted.items():
            if self._workers.have_left(workers):
                future.cancel()

    def _receive(self, future: Any, reply: Reply) -> Iterator[TrackResult[K]]:
        self._restricted.pop(future, None)
        match reply:
            case Reply(_, Failed((BrokenModels() | WrongDigest()) as error)):
                raise error
            case Reply(str(address), Failed(UnfitWorker() as reason)):
                self._workers.exclude(address, reason)
        if future in self._transfers:
            # Whatever came of it, the worker will say what it lacks.
            address = self._transfers.pop(future)
            self._retries.extend(self._waiting.pop(address))
        else:
            yield from self._receive_batch(self._batches.pop(future), reply)

    def _receive_batch(
        self, batch: Batch[K], reply: Reply
    ) -> Iterator[TrackResult[K]]:
        worker = reply.worker
        match reply.outcome:
            case Predicted(results):
                for result in results:
                    yield from self._settle(batch, worker, result)
            case MissingGraphs(graphs):
                self._wait_for_graphs(batch, str(worker), graphs)
            case Lost():
                self._retries.append(batch)
            case Failed(UnfitWorker() as error):
                self._retry_elsewhere(batch, worker, error)
            case Failed(error):
                for index in range(len(batch.tracks)):
                    result = TrackResult(index, error=error)
                    yield from self._settle(batch, worker, result)

    def _wait_for_graphs(
        self, batch: Batch[K], address: str, graphs: Iterable[GraphFile]
    ) -> None:
        """Put a batch aside until its worker, or another, can run it."""
        if address not in self._waiting:
            self._send_graphs(address, graphs)
        self._waiting[address].append(batch)

    def _retry_elsewhere(
        self, batch: Batch[K], worker: str | None, error: UnfitWorker
    ) -> None:
        """Retry a batch: at no cost if its worker is known, and so excluded."""
        again: Batch[K] | None = batch
        if worker is None:
            again = self._retry_policy.retry(batch, error, worker)
        if again is None:
            raise error
        self._retries.append(again)

    def _settle(
        self, batch: Batch[K], worker: str | None, result: TrackResult[int]
    ) -> Iterator[TrackResult[K]]:
        """Yield the result of a track of a batch, or retry the track."""
        key, path = batch.tracks[result.key]
        error = result.error
        if isinstance(error, UnsharedFile) and not os.path.exists(path):
            error = self._local_error(path) or error
        if error:
            single = replace(batch, tracks=((key, path),))
            again = self._retry_policy.retry(single, error, worker)
            if again:
                self._retries.append(again)
                return
        yield TrackResult(key, result.predictions, error)

    def _local_error(self, path: bytes | str) -> SoundtagsError | None:
        """Return why a file cannot be read on this machine."""
        read = capture_errors(
            lambda: next(features(path, self._plan.feature_spec))
        )
        return read if isinstance(read, SoundtagsError) else None


def _reply(future: Any, value: Any) -> Reply:
    """Return the reply to a request, or what became of its task."""
    from distributed import KilledWorker

    if future.status == "finished":
        return cast("Reply", value)
    if future.status != "error":  # cancelled, or lost
        return Reply(None, Lost())
    _, exc, _ = value
    return Reply(None, Failed(_task_error(exc, KilledWorker)))


def _task_error(
    exc: BaseException, killed_worker: type[BaseException]
) -> SoundtagsError:
    """Return the error for a task that ended without a reply."""
    if isinstance(exc, killed_worker):
        return CrashedWorker("workers of the cluster crashed on it")
    if isinstance(exc, ImportError):
        return UnfitWorker(
            f"a worker cannot load the plugin: {first_line(exc)}; install on"
            f" every worker: {PACKAGE}[cluster]=={package_version()}"
        )
    return UnexpectedFailure(f"a worker failed: {first_line(exc)}")


def _tracks_per_batch(plan: Plan, session_memory: int) -> int:
    """Return how many tracks fill the largest call of a model.

    Where models take turns in memory, as many as share a turn.
    """
    if not SessionPool(session_memory).fits(graph_specs(plan)):
        return GROUP_SIZE
    batch = max(FRONT_ENDS[name].batch for name in plan.front_ends)
    patches = plan.settings.patches or batch
    return -(-batch // patches)
