"""Many files through the models, on all cores."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

from .activations import activations
from .activations import jobs as jobs_of
from .errors import BrokenModels, SoundtagsError, attempt
from .features import Features, features
from .hearing import Heard, hear
from .patches import FRONT_ENDS

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Generator,
        Iterable,
        Iterator,
        Mapping,
    )
    from concurrent.futures import Executor, Future

    from .decoding import Path
    from .features import Reading
    from .hearing import Said
    from .plan import Plan
    from .sessions import SessionPool

    Result = Said | Heard | SoundtagsError
    Hearing = Heard | SoundtagsError
    Recall = Callable[[Mapping[str, str], Plan], Heard | None]

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
_Reading = tuple[T, "Iterator[Features]", "Future[Found]"]
_Running = tuple[list[tuple[T, "Found"]], "Future[list[Result]]"]
Found = Features | Heard | SoundtagsError

AHEAD = 4  # tracks per job that are read before models are ready for them
# Where models take turns in memory: portions per turn, and the bytes of their
# patches beyond which a turn begins before there are that many.
GROUP = 32
GROUP_MEMORY = 256 * 2**20


def hear_all(
    tracks: Iterable[tuple[T, Path]],
    plan: Plan,
    pool: SessionPool,
    jobs: int,
    reading: Reading = features,
    recall: Recall = lambda *_: None,
) -> Generator[tuple[T, Hearing], None, None]:
    """Let models hear many files, in order, whatever happens to any of them.

    A team of threads reads files and runs models, whatever comes first, so
    no core waits for another. Each call of a model works in one thread, on
    rows that follow from the order of the files alone: how many threads there
    are changes nothing about results.

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
        How many threads.
    reading
        How files are read: here, or elsewhere.
    recall
        Asked, in the caller's thread, for what the models of a plan once
        heard when they were fed the same; None if not all of them did.

    Yields
    ------
    tuple
        The anything, and what was heard or the error that prevented it.

    Raises
    ------
    BrokenModels
        If graphs cannot be used, before anything is yielded.
    """
    fits = pool.fits(jobs_of(plan))
    stopped = threading.Event()
    team = ThreadPoolExecutor(jobs, "soundtags")
    # These only wait, each for the calls of a group of portions. Two groups
    # at different models would throw each other's out, if not all fit.
    foremen = ThreadPoolExecutor(jobs if fits else 1, "soundtags-group")

    def read(track: tuple[T, Path]) -> _Reading[T]:
        key, path = track
        parts = reading(path, plan.wanted, stopped.is_set)
        return key, parts, team.submit(attempt, next, parts)

    def run(group: list[tuple[T, Found]]) -> _Running[T]:
        found = [each for _, each in group]
        return group, foremen.submit(_run, found, plan, pool, team)

    try:
        portions = _portions(_ahead(tracks, read, AHEAD * jobs), team)
        groups = _groups(
            _checked(_recalled(portions, plan, recall), plan, pool),
            _share_of_batch(plan) if fits else _share_of_turn,
        )
        yield from _heard(_ahead(groups, run, jobs))
    finally:
        stopped.set()
        foremen.shutdown(wait=False, cancel_futures=True)
        team.shutdown(cancel_futures=True)
        foremen.shutdown()


def _ahead(
    items: Iterable[U], start: Callable[[U], V], depth: int
) -> Iterator[V]:
    """Start something for each item, so many of them ahead of time."""
    started: deque[V] = deque()
    for item in items:
        started.append(start(item))
        if len(started) > depth:
            yield started.popleft()
    while started:
        yield started.popleft()


def _portions(
    readings: Iterable[_Reading[T]], team: Executor
) -> Iterator[tuple[T, Found]]:
    """Yield all portions of all files; an error is the last of a file's."""
    for key, parts, future in readings:
        more = True
        while more:
            found = future.result()
            more = isinstance(found, Features) and not found.last
            if more:
                future = team.submit(attempt, next, parts)
            yield key, found


def _recalled(
    portions: Iterable[tuple[T, Found]], plan: Plan, recall: Recall
) -> Iterator[tuple[T, Found]]:
    """Put what was heard before in the place of what is one portion."""
    first = True
    for key, found in portions:
        if isinstance(found, Features):
            known = recall(found.inputs, plan) if first and found.last else None
            first = found.last
            yield key, known or found
        else:
            first = True
            yield key, found


def _checked(
    portions: Iterable[tuple[T, Found]], plan: Plan, pool: SessionPool
) -> Iterator[tuple[T, Found]]:
    """Load TensorFlow and models, once there is something to feed them.

    That is done in the caller's thread, where Ctrl-C can stop it; meanwhile
    the team goes on reading.
    """
    ready = False
    for key, found in portions:
        if not ready and isinstance(found, Features):
            faults = pool.check(jobs_of(plan))
            if faults:
                raise BrokenModels(faults)
            ready = True
        yield key, found


def _groups(
    portions: Iterable[tuple[T, Found]], share: Callable[[Features], float]
) -> Iterator[list[tuple[T, Found]]]:
    """Put portions together, in order, until their shares make a whole."""
    group: list[tuple[T, Found]] = []
    filled = 0.0
    for key, found in portions:
        more = share(found) if isinstance(found, Features) else 0.0
        if group and filled + more > 1:
            yield group
            group, filled = [], 0.0
        group.append((key, found))
        filled += more
        if filled >= 1:
            yield group
            group, filled = [], 0.0
    if group:
        yield group


def _share_of_batch(plan: Plan) -> Callable[[Features], float]:
    """Return how to tell what a portion fills of the largest call."""
    widest = max(plan.front_ends, key=lambda name: FRONT_ENDS[name].batch)
    batch = FRONT_ENDS[widest].batch
    return lambda found: len(found.patches.get(widest, ())) / batch


def _share_of_turn(found: Features) -> float:
    return max(1 / GROUP, found.memory / GROUP_MEMORY)


def _run(
    found: list[Found], plan: Plan, pool: SessionPool, team: Executor
) -> list[Result]:
    """Run the models over a group of portions, and pass the rest on."""
    patches = [each.patches for each in found if isinstance(each, Features)]
    done = attempt(activations, patches, plan, pool, team.map)
    said: Iterator[Said | SoundtagsError] = (
        repeat(done) if isinstance(done, SoundtagsError) else iter(done)
    )
    return [
        next(said) if isinstance(each, Features) else each for each in found
    ]


def _heard(runs: Iterable[_Running[T]]) -> Iterator[tuple[T, Hearing]]:
    """Put together what is said of the portions of each file."""
    error: SoundtagsError | None = None
    results: list[Said] = []
    for group, future in runs:
        for (key, found), result in zip(group, future.result()):
            if isinstance(result, SoundtagsError):
                error = error or result
            elif not isinstance(result, Heard):
                results.append(result)
            if isinstance(found, Features) and not found.last:
                continue
            if error:
                yield key, error
            elif isinstance(found, Features):
                yield key, attempt(hear, results, found)
            else:
                yield key, found
            error, results = None, []
