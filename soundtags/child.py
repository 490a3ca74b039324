"""Processes of our own, for work that could crash or hang."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from multiprocessing import get_context
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

MAIN = "__main__"
_lock = threading.Lock()


def launch(
    target: Callable[..., None], *args: object
) -> tuple[Connection, SpawnProcess]:
    """Start a process that ends, at the latest, with this one.

    Parameters
    ----------
    target : callable
        Runs in the process. Takes the other end of the connection, and the
        arguments.
    *args
        The arguments.

    Returns
    -------
    connection : multiprocessing.connection.Connection
        Leads to the process.
    process : multiprocessing.context.SpawnProcess
        The process.

    Raises
    ------
    OSError
        If no process can be started.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    with theirs:
        process = context.Process(
            target=target, args=(theirs, *args), daemon=True
        )
        try:
            with _without_main():
                process.start()
        except BaseException:
            ours.close()
            raise
    return ours, process


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module, so that a new process does not import it, too.

    Our processes have no need of it. With beets, importing it would take
    longer than all the rest; a script without a check of its name would run
    again.
    """
    with _lock:
        main = sys.modules[MAIN]
        sys.modules[MAIN] = ModuleType(MAIN)
        try:
            yield
        finally:
            sys.modules[MAIN] = main
