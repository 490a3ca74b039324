"""The memory of a process and of those that it starts."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PERIOD = 0.25  # seconds between readings


def memory(pid: int) -> float:
    """Return MB; on Linux, memory that they share is counted once."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                found = each.memory_full_info()
                total += getattr(found, "pss", found.rss)
    return total / 1e6


@contextmanager
def watching(pid: int, take: Callable[[float], None]) -> Iterator[None]:
    """Read the memory again and again, in a thread."""
    ended = threading.Event()

    def watch() -> None:
        while True:
            if found := memory(pid):
                take(found)
            if ended.wait(PERIOD):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
