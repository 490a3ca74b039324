"""A lock on the model folder: one program at a time changes what is in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundtags.errors import UnwritableFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILE = ".lock"
REMEDY = "check its permissions, or set another model_dir"


@contextmanager
def locked(
    folder: Path, on_wait: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Keep other threads and programs from changing the model folder.

    A thread that has the lock may take it again.

    Parameters
    ----------
    folder
        The folder; created if need be.
    on_wait
        Called if somebody else has the lock, before waiting for it.

    Raises
    ------
    UnwritableFolder
        If the folder cannot be created or written to.
    """
    from filelock import FileLock, Timeout  # most commands need no lock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / FILE, is_singleton=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
    except OSError as exc:
        raise UnwritableFolder(
            f"cannot write to {folder}: {exc.strerror or exc}; {REMEDY}"
        ) from exc
    try:
        yield
    finally:
        lock.release()
