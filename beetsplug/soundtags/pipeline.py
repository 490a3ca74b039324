"""Many files through the analysis, several at a time."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from .analysis import Analysis, analyse
from .errors import SoundtagsError, UnexpectedFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from .decoding import Path
    from .plan import Plan
    from .sessions import SessionPool

T = TypeVar("T")
Outcome = Analysis | SoundtagsError


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
        Pairs of anything and the path of a file. Consumed a few ahead of
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
    executor = ThreadPoolExecutor(jobs, "soundtags")
    pending: deque[tuple[T, Future[Outcome]]] = deque()
    try:
        for key, path in tracks:
            pending.append((key, executor.submit(_attempt, path, plan, pool)))
            if len(pending) >= 2 * jobs:
                key, future = pending.popleft()
                yield key, future.result()
        while pending:
            key, future = pending.popleft()
            yield key, future.result()
    finally:
        executor.shutdown(cancel_futures=True)


def _attempt(path: Path, plan: Plan, pool: SessionPool) -> Outcome:
    try:
        return analyse(path, plan, pool)
    except SoundtagsError as exc:
        return exc
    except Exception as exc:  # one track must not end the run
        failure = UnexpectedFailure(f"unexpected {type(exc).__name__}: {exc}")
        failure.__cause__ = exc
        return failure
