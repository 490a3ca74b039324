"""Models that listen on a cluster: what its workers get, and what comes back.

Only what was heard comes back, so library and files are written here alone.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from . import worker
from .activations import jobs as jobs_of
from .errors import (
    BrokenModels,
    CrashedWorker,
    HangingDecoder,
    LostCluster,
    NoDistributed,
    SoundtagsError,
    UnexpectedFailure,
    UnfitWorker,
    UnreachableCluster,
    UnreadableAudio,
    UnsharedFile,
    WrongDigest,
    attempt,
)
from .features import features
from .options import is_address
from .patches import FRONT_ENDS
from .pipeline import GROUP
from .sessions import SessionPool
from .worker import Lacking, Task, Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .installed import Model
    from .pipeline import Hearing, Recall
    from .plan import Plan
    from .worker import Answer, Graph, Told

T = TypeVar("T")

CONNECTING = 5.0  # seconds to wait for a scheduler, which Dask does twice
STARTING = 15.0  # seconds to wait for a worker, also when all have gone
GLANCE = 1.0  # seconds between looks at who is there
LOGGERS = ("distributed", "distributed.client", "tornado.application")
AHEAD = 2  # tasks per thread of a worker that are handed out
TRIES = 3  # times that a track is tried that fails for no fault of its own
# What may be a worker's fault, so that another one gets the track.
ELSEWHERE = (HangingDecoder, UnexpectedFailure, UnsharedFile, CrashedWorker)


@dataclass(frozen=True)
class Shares:
    """Where workers find files.

    Attributes
    ----------
    folders
        Folder here to the same folder there, longest first.
    ship
        Whether to send files instead.
    """

    folders: Mapping[str, str]
    ship: bool = False

    @classmethod
    def of(cls, paths: Mapping[str, str], library: str, ship: bool) -> Shares:
        """Map folders; the library's is where it is here, unless mapped."""
        folders = {library: library, **paths}
        ordered = sorted(folders, key=lambda here: -len(PurePath(here).parts))
        return cls({here: folders[here] for here in ordered}, ship)

    def track(self, file: bytes | str) -> Track:
        """Say how a worker gets at a file.

        Raises
        ------
        UnreadableAudio
            If it is to be sent, but cannot be read.
        """
        path = PurePath(os.fsdecode(file).removeprefix("\\\\?\\"))
        if self.ship:
            return Track(path.name, "", _content(file))
        for here, there in self.folders.items():
            if path.is_relative_to(here):
                posix = there.startswith("/")
                kind = PurePosixPath if posix else PureWindowsPath
                parts = path.relative_to(here).parts
                return Track(str(kind(there, *parts)), there)
        return Track(str(path), str(path.parent))


def _content(file: bytes | str) -> bytes:
    try:
        return Path(os.fsdecode(file)).read_bytes()
    except OSError as exc:
        raise UnreadableAudio(f"cannot be opened: {exc.strerror}") from exc


class Cluster:
    """The workers of a scheduler, who are found when they are needed.

    Parameters
    ----------
    address
        Of the scheduler, or its file.
    shares
        Where workers find files.
    memory
        Bytes that open sessions may take, on each worker.
    logger
        Told of workers that are of no use.
    """

    def __init__(
        self, address: str, shares: Shares, memory: int, logger: logging.Logger
    ) -> None:
        self._address = address
        self._shares = shares
        self._memory = memory
        self._logger = logger
        self._client: Any = None

    def hear(
        self,
        tracks: Iterable[tuple[T, bytes | str]],
        plan: Plan,
        recall: Recall,  # noqa: ARG002 (workers ask nobody)
    ) -> Iterator[tuple[T, Hearing]]:
        waiting = iter(tracks)
        for first in islice(waiting, 1):  # nobody is asked to do nothing
            self._connect()
            run = _Run[T](
                self._client, self._shares, plan, self._memory, self._logger
            )
            yield from run.results(_chained(first, waiting))

    def close(self) -> None:
        if self._client:
            self._client.close(timeout=GLANCE)
            self._client = None

    def _connect(self) -> None:
        if self._client is not None and self._client.status == "running":
            return
        self.close()
        distributed = _distributed(self._logger)
        try:
            self._client = distributed.Client(
                _scheduler(self._address),
                timeout=CONNECTING,
                set_as_default=False,
            )
        except (OSError, ValueError, RuntimeError) as exc:
            raise UnreachableCluster(
                f"no scheduler answers at {self._address}: {_line(exc)}"
            ) from exc


def _chained(
    first: tuple[T, Any], others: Iterator[tuple[T, Any]]
) -> Iterator[tuple[T, Any]]:
    yield first
    yield from others


def _scheduler(address: str) -> str:
    """Return the address of a scheduler, which may be in its file."""
    if is_address(address):
        return address
    try:
        return str(json.loads(Path(address).read_text("utf-8"))["address"])
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise UnreachableCluster(
            f"{address}: neither an address such as tcp://host:8786 nor a"
            " scheduler file"
        ) from exc


def _distributed(logger: logging.Logger) -> Any:
    try:
        import dask
        import distributed
    except ImportError as exc:
        raise NoDistributed(
            "a cluster needs Dask: pip install beets-soundtags[cluster]"
        ) from exc
    if not logger.isEnabledFor(logging.DEBUG):
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    # Models and music that are sent are meant to be large.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})
    return distributed


def _timeout() -> type[Exception]:
    from distributed import TimeoutError as Timeout  # not Python's, in 3.10

    return cast("type[Exception]", Timeout)


def _line(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0]


@dataclass(eq=False)
class _Group(Generic[T]):
    """Tracks that travel together."""

    tracks: list[tuple[T, bytes | str]]
    tries: int = 0
    avoid: set[str] = field(default_factory=set)  # workers that failed at it


class _Run(Generic[T]):
    """Tracks on their way through a cluster."""

    def __init__(
        self,
        client: Any,
        shares: Shares,
        plan: Plan,
        memory: int,
        logger: logging.Logger,
    ) -> None:
        from distributed import as_completed

        self._client = client
        self._shares = shares
        self._plan = plan
        self._memory = memory
        self._logger = logger
        self._sent = _without_paths(plan)
        self._size = _tracks_per_task(plan, memory)
        self._completed = as_completed(
            loop=client.loop, with_results=True, raise_errors=False
        )
        self._flying: dict[Any, _Group[T] | str] = {}  # by future; see _supply
        self._bound: dict[Any, list[str]] = {}  # to workers, of those
        self._again: deque[_Group[T]] = deque()
        # Those that wait until a worker has got models, by the worker.
        self._parked: defaultdict[str, list[_Group[T]]] = defaultdict(list)
        self._unfit: dict[str, UnfitWorker] = {}
        self._threads: dict[str, int] = {}  # by worker
        self._looked = 0.0

    def results(
        self, tracks: Iterator[tuple[T, bytes | str]]
    ) -> Iterator[tuple[T, Hearing]]:
        """Yield what is heard, as it comes."""
        try:
            self._look()
            while True:
                yield from self._hand_out(tracks)
                if not self._flying:
                    return
                for future, found in self._arrived():
                    yield from self._land(future, found)
        finally:
            with suppress(Exception):  # there may be nobody left to tell
                self._client.cancel(list(self._flying))

    def _hand_out(
        self, tracks: Iterator[tuple[T, bytes | str]]
    ) -> Iterator[tuple[T, Hearing]]:
        """Have as many tasks under way as keep workers busy."""
        depth = AHEAD * max(1, sum(self._threads.values()))
        while self._under_way < depth:
            if self._again:
                group = self._again.popleft()
            elif some := list(islice(tracks, self._size)):
                group = _Group(some)
            else:
                return
            yield from self._submit(group)

    @property
    def _under_way(self) -> int:
        return len(self._flying) + sum(map(len, self._parked.values()))

    def _submit(self, group: _Group[T]) -> Iterator[tuple[T, Hearing]]:
        found = [attempt(self._shares.track, path) for _, path in group.tracks]
        for (key, _), each in zip(group.tracks, found):
            if isinstance(each, SoundtagsError):
                yield key, each
        fine = [
            (track, each)
            for track, each in zip(group.tracks, found)
            if isinstance(each, Track)
        ]
        if fine:
            group.tracks = [track for track, _ in fine]
            sent = tuple(each for _, each in fine)
            task = Task(self._sent, self._memory, sent)
            where = self._others(group.avoid)
            self._send(worker.hear, task, group, where)

    def _send(
        self,
        work: Callable[[str, bytes], Answer],
        content: Any,
        key: _Group[T] | str,
        where: list[str] | None,
    ) -> None:
        module, name = work.__module__, work.__name__
        future = self._client.submit(
            eval,  # each Python has that: a worker that lacks us can say so
            f"__import__({module!r}, fromlist=[{name!r}]).{name}(ours, sent)",
            {"ours": worker.version(), "sent": pickle.dumps(content)},
            pure=False,
            workers=where,
        )
        self._flying[future] = key
        if where:
            self._bound[future] = where
        self._completed.add(future)

    def _others(self, avoid: set[str]) -> list[str] | None:
        """Return the workers that are of use; None if all are."""
        if not avoid and not self._unfit:
            return None
        self._look()
        fit = self._threads.keys() - self._unfit.keys()
        if not fit:
            raise next(iter(self._unfit.values()))
        return sorted(fit - avoid or fit)

    def _arrived(self) -> list[tuple[Any, Any]]:
        """Wait for what comes back."""
        while True:
            with self._completed.thread_condition:
                if not self._completed.has_ready():
                    self._completed.thread_condition.wait(GLANCE)
            if self._client.status != "running":
                raise LostCluster(
                    "the scheduler of the cluster has gone; what was finished"
                    " is stored, so call again to go on"
                )
            arrived = self._completed.next_batch(block=False)
            if arrived:
                return cast("list[tuple[Any, Any]]", arrived)
            self._look()
            self._free()

    def _look(self) -> None:
        """See which workers there are; wait for some if there are none."""
        now = time.monotonic()
        if self._threads and now < self._looked + GLANCE:
            return
        self._looked = now
        try:
            self._threads = self._client.nthreads()
            if not self._threads:
                self._client.wait_for_workers(1, timeout=STARTING)
                self._threads = self._client.nthreads()
        except _timeout() as exc:
            raise UnreachableCluster(
                f"the cluster has no worker; none came in {STARTING:.0f} s"
            ) from exc
        except (OSError, RuntimeError) as exc:
            raise LostCluster(
                f"the scheduler of the cluster has gone: {_line(exc)}"
            ) from exc

    def _free(self) -> None:
        """Take back what is meant for workers who have all gone."""
        for future, where in self._bound.items():
            if not self._threads.keys() & where:
                future.cancel()

    def _land(self, future: Any, result: Any) -> Iterator[tuple[T, Hearing]]:
        """Deal with what comes of a task."""
        group = self._flying.pop(future)
        self._bound.pop(future, None)
        address, told = _told(future, result)
        if isinstance(told, UnfitWorker):
            self._exclude(address, told)
        elif isinstance(told, (BrokenModels, WrongDigest)):
            raise told
        if isinstance(group, str):
            self._again.extend(self._parked.pop(group))
        elif isinstance(told, UnfitWorker):
            group.tries += not address
            if group.tries == TRIES:
                raise told
            self._again.append(group)
        elif told is None:
            self._again.append(group)
        elif isinstance(told, Lacking):
            if address not in self._parked:
                self._supply(address, told.graphs)
            self._parked[address].append(group)
        elif isinstance(told, list):
            for track, found in zip(group.tracks, told):
                yield from self._take(track, found, group, address)
        else:
            for track in group.tracks:
                yield from self._take(track, told, group, address)

    def _exclude(self, address: str, reason: UnfitWorker) -> None:
        if address and address not in self._unfit:
            self._logger.warning("{}; it gets no more", reason)
            self._unfit[address] = reason

    def _take(
        self,
        track: tuple[T, bytes | str],
        found: Hearing,
        group: _Group[T],
        address: str,
    ) -> Iterator[tuple[T, Hearing]]:
        """Yield what was heard of a track, or have another worker try."""
        key, path = track
        if isinstance(found, UnsharedFile) and not os.path.exists(path):
            found = _missing(path, self._plan)
        # Of a crash, Dask has had several workers try.
        tries = group.tries + (2 if isinstance(found, CrashedWorker) else 1)
        if isinstance(found, ELSEWHERE) and tries < TRIES:
            avoid = {*group.avoid, address} - {""}
            self._again.append(_Group([track], tries, avoid))
        else:
            yield key, found

    def _supply(self, address: str, graphs: list[Graph]) -> None:
        """Send models to a worker, for which others may step in."""
        here = {worker.key(m): m.graph for m in worker.models(self._plan)}
        content = {graph: here[graph].read_bytes() for graph in graphs}
        self._send(worker.receive, content, address, [address])


def _told(future: Any, result: Any) -> tuple[str, Told]:
    """Return who says what; nobody, if the task has come to nothing."""
    from distributed import KilledWorker

    if future.status == "finished":
        return cast("Answer", result)
    if future.status != "error":  # cancelled, or lost
        return "", None
    _, exc, _ = result
    if isinstance(exc, KilledWorker):
        return "", CrashedWorker("workers of the cluster crashed on it")
    if isinstance(exc, ImportError):
        return "", UnfitWorker(
            f"a worker does not know what to do: {_line(exc)}; install on"
            f" every worker: beets-soundtags[cluster]=={worker.version()}"
        )
    return "", UnexpectedFailure(f"a worker failed: {_line(exc)}")


def _missing(path: bytes | str, plan: Plan) -> SoundtagsError:
    """Return what is said here of a file that is not here, either."""
    found = attempt(lambda: next(features(path, plan.wanted)))
    return cast("SoundtagsError", found)


def _tracks_per_task(plan: Plan, memory: int) -> int:
    """Return how many tracks fill the largest call, or a turn of models."""
    if not SessionPool(memory).fits(jobs_of(plan)):
        return GROUP
    batch = max(FRONT_ENDS[name].batch for name in plan.front_ends)
    patches = plan.settings.patches or batch
    return -(-batch // patches)


def _without_paths(plan: Plan) -> Plan:
    """Return a plan without what is of this machine, or of no use there."""

    def bare(models: tuple[Model, ...]) -> tuple[Model, ...]:
        name = [cast("Path", PurePosixPath(m.graph.name)) for m in models]
        return tuple(m._replace(graph=n) for m, n in zip(models, name))

    return replace(
        plan,
        models=bare(plan.models),
        backbones=bare(plan.backbones),
        targets={},
    )
