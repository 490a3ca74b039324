"""BLAS in one thread, so that results do not depend on how many there are.

How a matrix product is divided among threads shows in its last bits. Also,
threads of a BLAS compete for the cores that our own threads are using.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Limits = list[tuple[Any, int]]  # libraries and their numbers of threads


class SingleThread:
    """Limits BLAS libraries to one thread while anybody is inside.

    Most libraries have one limit for the whole process, which is set by the
    first user to enter and restored by the last one to leave, whichever
    threads these are. OpenBLAS on OpenMP has a limit per thread.

    Parameters
    ----------
    libraries
        Returns the controllers of the libraries, as threadpoolctl provides
        them.
    """

    def __init__(self, libraries: Callable[[], Iterable[Any]]) -> None:
        self._libraries = libraries
        self._lock = threading.Lock()
        self._users = 0
        self._before: Limits = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Limit the libraries for the duration of a ``with`` statement."""
        own = _limit(each for each in self._libraries() if _is_per_thread(each))
        with self._lock:
            if self._users == 0:
                self._before = _limit(
                    each
                    for each in self._libraries()
                    if not _is_per_thread(each)
                )
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    _set(self._before)
            _set(own)


def _limit(libraries: Iterable[Any]) -> Limits:
    """Limit libraries to one thread, and return their limits until then."""
    before = [(library, library.num_threads) for library in libraries]
    _set([(library, 1) for library, _ in before])
    return before


def _set(limits: Limits) -> None:
    for library, threads in limits:
        _release(library)
        library.set_num_threads(threads)
        _release(library)


def _release(library: Any) -> None:
    """Let any thread set the limit.

    With recent versions of threadpoolctl, only the first thread to set the
    limit of an OpenBLAS can set it again, until it gives up control: other
    threads are ignored.
    """
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(force=True)


def _is_per_thread(library: Any) -> bool:
    """Return whether threadpoolctl sets a library's limit per thread."""
    return (
        hasattr(library, "clear_controlling_thread")
        and library.threading_layer == "openmp"
    )


@cache
def numpy_libraries() -> list[Any]:
    """Return the controllers of the BLAS libraries that NumPy has loaded."""
    import numpy  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return [
        library
        for library in ThreadpoolController().lib_controllers
        if library.user_api == "blas"
    ]


single_threaded = SingleThread(numpy_libraries)
