"""One run of tracks through the workers of a cluster."""

from __future__ import annotations

import os
from collections import Counter, defaultdict, deque
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from soundtags.audio.features import features
from soundtags.errors import (
    BrokenModels,
    LostCluster,
    SoundtagsError,
    UnexpectedFailure,
    UnfitWorker,
    UnsharedFile,
    WrongDigest,
    capture_errors,
)
from soundtags.inference.dask.answers import read_reply
from soundtags.inference.dask.batches import Batch, tracks_per_batch
from soundtags.inference.dask.messages import (
    Failed,
    GraphFile,
    GraphsStored,
    Lost,
    MissingGraphs,
    Predicted,
    PredictTracks,
    Reply,
    StoreGraphs,
    plan_models,
    portable_plan,
)
from soundtags.inference.dask.retries import RetryPolicy
from soundtags.inference.dask.tasks import Tasks
from soundtags.inference.dask.worker_pool import WorkerPool
from soundtags.inference.pipeline import TrackResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from logging import Logger

    from soundtags.inference.dask.messages import Request
    from soundtags.inference.dask.paths import PathMapping
    from soundtags.models.plan import Plan

K = TypeVar("K")

PREFETCH = 2  # tasks under way per thread of a worker
MAX_TRANSFERS = 3  # of graphs to one worker
POLL_INTERVAL = 1.0  # seconds to wait for replies before workers are checked


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
    engine
        Which engine runs the models on each worker.
    logger
        Gets a warning for each worker that is excluded.
    """

    def __init__(
        self,
        client: Any,
        mapping: PathMapping,
        plan: Plan,
        session_memory: int,
        engine: str,
        logger: Logger,
    ) -> None:
        self._client = client
        self._mapping = mapping
        self._plan = plan
        self._portable_plan = portable_plan(plan)
        self._session_memory = session_memory
        self._engine = engine
        self._batch_size = tracks_per_batch(plan, session_memory)
        self._retry_policy = RetryPolicy()
        self._workers = WorkerPool(client, logger)
        self._tasks = Tasks(client)
        # What is under way, by future: batches, and the addresses of workers
        # that graphs are being transferred to.
        self._batches: dict[Any, Batch[K]] = {}
        self._transfers: dict[Any, str] = {}
        # The workers that may run a future, where not all of them may.
        self._restricted: dict[Any, list[str]] = {}
        self._sent: Counter[str] = Counter()  # transfers, by address
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
                    yield from self._receive(future, self._reply(future, value))
        finally:
            with suppress(Exception):  # the cluster may have gone
                self._client.cancel([*self._batches, *self._transfers])

    def _send_batches(
        self, tracks: Iterator[tuple[K, bytes | str]]
    ) -> Iterator[TrackResult[K]]:
        """Send enough batches to keep the workers busy; yield what fails."""
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
            request = PredictTracks(
                self._portable_plan,
                self._session_memory,
                self._engine,
                tuple(files),
            )
            workers = self._workers.usable(batch.avoid)
            future = self._submit(request, workers)
            self._batches[future] = replace(batch, tracks=tuple(tracks))

    def _send_graphs(self, address: str, graphs: Iterable[GraphFile]) -> None:
        models = {GraphFile.of(m): m for m in plan_models(self._plan)}
        contents = {g: models[g].graph.read_bytes() for g in graphs}
        future = self._submit(StoreGraphs(contents), [address])
        self._transfers[future] = address

    def _submit(self, request: Request, workers: list[str] | None) -> Any:
        future = self._tasks.submit(request, workers)
        if workers:
            self._restricted[future] = workers
        return future

    def _wait(self) -> list[tuple[Any, Any]]:
        """Wait for tasks to finish: return their futures and values."""
        while True:
            finished = self._tasks.next_finished(POLL_INTERVAL)
            if self._client.status != "running":
                raise LostCluster(
                    "lost the cluster's scheduler; finished tracks are stored,"
                    " so run the command again to continue"
                )
            if finished:
                return finished
            self._workers.refresh()
            self._cancel_orphans()

    def _cancel_orphans(self) -> None:
        """Cancel tasks whose workers have all left."""
        for future, workers in self._restricted.items():
            if self._workers.have_left(workers):
                future.cancel()

    def _reply(self, future: Any, value: Any) -> Reply:
        """Return the reply to a request, or what became of its task."""
        batch = self._batches.get(future)
        count = len(batch.tracks) if batch else 0
        reply = read_reply(future.status, value, self._portable_plan, count)
        if reply.worker is None and future.status == "finished":
            with suppress(OSError, RuntimeError):  # the cluster may have gone
                holders = self._client.who_has([future]).values()
                return replace(reply, worker=next(chain(*holders), None))
        return reply

    def _receive(self, future: Any, reply: Reply) -> Iterator[TrackResult[K]]:
        self._restricted.pop(future, None)
        match reply:
            case Reply(_, Failed((BrokenModels() | WrongDigest()) as error)):
                raise error
            case Reply(str(address), Failed(UnfitWorker() as reason)):
                self._workers.exclude(address, reason)
        if future in self._transfers:
            # Whatever came of it, the worker will say what it lacks.
            for batch in self._waiting.pop(self._transfers.pop(future)):
                yield from self._give_back(batch)
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
            case MissingGraphs(graphs) if self._may_have_graphs(str(worker)):
                self._wait_for_graphs(batch, str(worker), graphs)
            case MissingGraphs() | Lost():
                yield from self._give_back(batch)
            case Failed(UnfitWorker() as error):
                yield from self._retry_elsewhere(batch, worker, error)
            case Failed(error):
                yield from self._fail(batch, worker, error)
            case GraphsStored():
                error = UnexpectedFailure("a worker gave no results")
                yield from self._fail(batch, worker, error)

    def _may_have_graphs(self, address: str) -> bool:
        """Return whether to send a worker graphs; if not, exclude it."""
        if address in self._waiting or self._sent[address] < MAX_TRANSFERS:
            return True
        self._workers.exclude(
            address,
            UnfitWorker(
                f"worker {address}: asks again for models that it has been sent"
            ),
        )
        return False

    def _wait_for_graphs(
        self, batch: Batch[K], address: str, graphs: Iterable[GraphFile]
    ) -> None:
        """Put a batch aside until its worker, or another, can run it."""
        if address not in self._waiting:
            self._sent[address] += 1
            self._send_graphs(address, graphs)
        self._waiting[address].append(batch)

    def _retry_elsewhere(
        self, batch: Batch[K], worker: str | None, error: UnfitWorker
    ) -> Iterator[TrackResult[K]]:
        """Retry a batch: at no cost if its worker is known, and so excluded."""
        if worker is not None:
            yield from self._give_back(batch)
            return
        again = self._retry_policy.retry(batch, error, worker)
        if again is None:
            raise error
        self._retries.append(again)

    def _give_back(self, batch: Batch[K]) -> Iterator[TrackResult[K]]:
        """Retry a batch that no worker has tried, but not endlessly."""
        again = self._retry_policy.give_back(batch)
        if again:
            self._retries.append(again)
        else:
            error = UnexpectedFailure(
                "workers returned it repeatedly without analysing it"
            )
            yield from (TrackResult(k, error=error) for k, _ in batch.tracks)

    def _fail(
        self, batch: Batch[K], worker: str | None, error: SoundtagsError
    ) -> Iterator[TrackResult[K]]:
        """Settle all tracks of a batch with one error."""
        for index in range(len(batch.tracks)):
            result = TrackResult(index, error=error)
            yield from self._settle(batch, worker, result)

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
        yield TrackResult(key, result.predictions, error, result.warning)

    def _local_error(self, path: bytes | str) -> SoundtagsError | None:
        """Return why a file cannot be read on this machine."""
        read = capture_errors(
            lambda: next(features(path, self._plan.feature_spec))
        )
        return read if isinstance(read, SoundtagsError) else None
