"""Many files through the analysis, several at a time."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .activations import jobs as jobs_of
from .analysis import Analysis, Features, analyse, features
from .errors import SoundtagsError, UnexpectedFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from .decoding import Path
    from .plan import Plan
    from .sessions import SessionPool

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")
Outcome = Analysis | SoundtagsError

# Where models take turns in memory: tracks per turn, and bytes of patches
# from which on a turn begins before there are that many.
GROUP = 32
GROUP_MEMORY = 256 * 2**20


def analyse_all(
    tracks: Iterable[tuple[T, Path]],
    plan: Plan,
    pool: SessionPool,
    jobs: int | None = None,
) -> Iterator[tuple[T, Outcome]]:
    """Analyse many files, in order, whatever happens to any of them.

    Parameters
    ----------
    tracks
        Pairs of anything and the path of a file. Consumed some ahead of
        what is yielded, in the caller's thread.
    plan
        Which models run on which patches.
    pool
        Where sessions come from.
    jobs
        Files at a time; None for one per processor.

    Yields
    ------
    tuple
        The anything, and the analysis or the error that prevented it.
    """
    jobs = jobs or os.cpu_count() or 1
    crew = _crew(plan, pool)
    executor = ThreadPoolExecutor(jobs, "soundtags")
    pending: deque[tuple[list[T], Future[list[Outcome]]]] = deque()

    def oldest() -> Iterator[tuple[T, Outcome]]:
        keys, future = pending.popleft()
        yield from zip(keys, future.result())

    try:
        for group in _groups(tracks, crew.group):
            keys, paths = zip(*group)
            pending.append((list(keys), executor.submit(crew.work, paths)))
            if len(pending) >= 2 * jobs:
                yield from oldest()
        while pending:
            yield from oldest()
    finally:
        executor.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Crew:
    """How groups of files are analysed."""

    plan: Plan
    pool: SessionPool
    group: int  # files that go through the models together
    turn: AbstractContextManager[object]  # held while models run

    def work(self, paths: Iterable[Path]) -> list[Outcome]:
        """Analyse some files, as many together as memory allows."""
        outcomes: list[Outcome] = []
        ready: list[Features | SoundtagsError] = []
        taken = 0
        for path in paths:
            found = _attempt(features, path, self.plan)
            ready.append(found)
            taken += found.memory if isinstance(found, Features) else 0
            if taken > GROUP_MEMORY:
                outcomes += self._run(ready)
                ready, taken = [], 0
        return outcomes + self._run(ready)

    def _run(self, ready: list[Features | SoundtagsError]) -> list[Outcome]:
        tracks = [found for found in ready if isinstance(found, Features)]
        with self.turn:
            done = _attempt(analyse, tracks, self.plan, self.pool)
        results: Iterator[Outcome] = (
            repeat(done) if isinstance(done, SoundtagsError) else iter(done)
        )
        return [
            next(results) if isinstance(found, Features) else found
            for found in ready
        ]


def _crew(plan: Plan, pool: SessionPool) -> _Crew:
    if pool.fits(jobs_of(plan)):
        return _Crew(plan, pool, 1, nullcontext())
    # Two groups at different models would throw each other's out.
    return _Crew(plan, pool, GROUP, threading.Lock())


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group


def _attempt(
    work: Callable[P, U], *args: P.args, **kwargs: P.kwargs
) -> U | SoundtagsError:
    """Return what some work on tracks returns, or what went wrong."""
    try:
        return work(*args, **kwargs)
    except SoundtagsError as exc:
        return exc
    except Exception as exc:  # one track must not end the run
        failure = UnexpectedFailure(f"unexpected {type(exc).__name__}: {exc}")
        failure.__cause__ = exc
        return failure
