"""Ctrl-C at moments when a step must not be left half done."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def postponed_interrupt() -> Iterator[None]:
    """Postpone Ctrl-C to the end of a block; a second one acts at once.

    Only the main thread is ever interrupted; elsewhere, nothing is done.
    """
    handler = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not callable(handler):
        yield
        return
    received: list[tuple[int, Any]] = []

    def postpone(*call: Any) -> None:
        received.append(call)
        if len(received) > 1:
            handler(*call)

    signal.signal(signal.SIGINT, postpone)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if received:
            handler(*received[0])
