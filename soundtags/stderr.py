"""Silences native libraries, which write to standard error directly."""

from __future__ import annotations

import io
import os
import sys
import threading
from contextlib import contextmanager
from logging import StreamHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

STDERR = 2  # the file descriptor that native code writes to


class _Diversion:
    """File descriptor 2 points nowhere; Python's own messages still arrive."""

    def __init__(self, logger: Logger) -> None:
        self._saved = os.dup(STDERR)
        self._stream = io.TextIOWrapper(
            io.FileIO(self._saved, "w", closefd=False),
            errors="backslashreplace",
            write_through=True,
        )
        self._handlers: list[tuple[StreamHandler[Any], Any]] = []
        for handler in _handlers(logger):
            if _is_stderr(handler.stream):
                self._handlers.append(
                    (handler, handler.setStream(self._stream))
                )
        self._python = sys.stderr
        if _is_stderr(sys.stderr):
            sys.stderr = self._stream
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDERR)
        os.close(nowhere)

    def end(self) -> None:
        self._stream.flush()
        os.dup2(self._saved, STDERR)
        for handler, stream in self._handlers:
            handler.setStream(stream)
        if sys.stderr is self._stream:
            sys.stderr = self._python
        os.close(self._saved)


def _handlers(logger: Logger | None) -> Iterator[StreamHandler[Any]]:
    """Yield the handlers that a logger's messages reach."""
    while logger:
        for handler in logger.handlers:
            if isinstance(handler, StreamHandler):
                yield handler
        logger = logger.parent


def _is_stderr(stream: Any) -> bool:
    try:
        stream.flush()
        return bool(stream.fileno() == STDERR)
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return False


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


_lock = threading.Lock()
_users = 0
_diversion: _Diversion | None = None


@contextmanager
def silence_stderr(logger: Logger, enabled: bool = True) -> Iterator[None]:
    """Silence TensorFlow, its libraries and the decoders.

    They write to file descriptor 2 directly, not through Python. There is
    only one per process, so all threads share one diversion, which ends with
    the last of them.

    Parameters
    ----------
    logger
        The logger whose messages must still arrive.
    enabled
        False to let everything through.
    """
    global _users, _diversion
    if not enabled or not _is_open(STDERR):
        yield
        return
    with _lock:
        _users += 1
        if _diversion is None:
            _diversion = _Diversion(logger)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _diversion.end()
                _diversion = None
