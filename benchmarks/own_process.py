"""A process for each large piece of work.

On Linux, a process starts with the peak memory of the one that starts it. So
scripts that measure the peak memory of others have to stay small themselves.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def in_own_process(work: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a new process, and return what it returns."""
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        return executor.submit(work, *args).result()
