"""Processes that compute features, to survive decoders that crash or hang."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from soundtags.audio.features import features
from soundtags.child import launch
from soundtags.errors import (
    CrashedDecoder,
    HangingDecoder,
    NoDecoderProcess,
    SoundtagsError,
    Stopped,
    capture_errors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from soundtags.audio.features import FeatureReader, Features, FeatureSpec
    from soundtags.types import Path

TIMEOUT = 60.0  # seconds without a heartbeat until a file is abandoned
HEARTBEAT_INTERVAL = 1.0  # seconds
POLL_INTERVAL = 0.1  # seconds
MAX_OPEN = 16  # files that a process keeps open; others are started over
READY, HEARTBEAT = "ready", "heartbeat"
# Why the system cannot start a process, and what helps.
OBSTACLES = {
    errno.EAGAIN: "too many processes; raise the limit (ulimit -u)",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this system; close some programs",
    errno.ENOMEM: "out of memory; close some programs, or lower 'jobs'",
}


@dataclass(frozen=True)
class _Request:
    """A request for a chunk of a file's features; both are numbered."""

    file: int
    chunk: int
    path: Path
    spec: FeatureSpec


class DecoderPool:
    """A pool of processes that compute features.

    Each process starts when it is first needed, and is replaced after a crash.
    If one cannot be started, the others do its work.

    Parameters
    ----------
    size
        The largest number of processes: as many as there are threads that use
        the pool.
    reader
        Computes the features of a file, inside a process.
    timeout
        Seconds without a heartbeat after which a file is abandoned.
    """

    def __init__(
        self,
        size: int,
        reader: FeatureReader = features,
        timeout: float = TIMEOUT,
    ) -> None:
        self._decoders = [_Decoder(reader, timeout) for _ in range(size)]
        self._idle = self._decoders.copy()
        self._returned = threading.Condition()
        self._files = count()

    def features(
        self, path: Path, spec: FeatureSpec, checkpoint: Callable[[], None]
    ) -> Iterator[Features]:
        """Compute the features of a file in one of the processes.

        Parameters, yields and errors are those of :func:`features.features`.

        Raises
        ------
        CrashedDecoder
            If a decoder crashes its process.
        HangingDecoder
            If there is no heartbeat until the timeout.
        NoDecoderProcess
            If no process can be started, and none is running.
        """
        file, decoder = next(self._files), None
        for number in count():
            request = _Request(file, number, path, spec)
            decoder, chunk = self._ask(decoder, request, checkpoint)
            yield chunk
            if chunk.last:
                return

    def _ask(
        self,
        preferred: _Decoder | None,
        request: _Request,
        checkpoint: Callable[[], None],
    ) -> tuple[_Decoder, Features]:
        """Return the decoder that has the file open, and a chunk from it."""
        while True:
            with self._borrowed(preferred) as decoder:
                try:
                    return decoder, decoder.ask(request, checkpoint)
                except NoDecoderProcess:
                    running = (
                        each for each in self._decoders if each.is_running
                    )
                    preferred = next(running, None)
                    if preferred is None:
                        raise

    @contextmanager
    def _borrowed(self, preferred: _Decoder | None) -> Iterator[_Decoder]:
        """Borrow the decoder that has the file open, or any."""
        with self._returned:
            self._returned.wait_for(
                lambda: preferred in self._idle if preferred else self._idle
            )
            decoder = preferred or self._idle[0]
            self._idle.remove(decoder)
        try:
            yield decoder
        finally:
            with self._returned:
                self._idle.insert(0, decoder)
                self._returned.notify_all()

    def close(self) -> None:
        """Stop all processes."""
        for decoder in self._decoders:
            decoder.stop()


class _Decoder:
    """A process that computes features, as seen from its parent."""

    def __init__(self, reader: FeatureReader, timeout: float) -> None:
        self._reader = reader
        self._timeout = timeout
        self._process: Any = None
        self._connection: Connection

    @property
    def is_running(self) -> bool:
        """Whether the process has been started, and not stopped since."""
        return self._process is not None

    def ask(
        self, request: _Request, checkpoint: Callable[[], None]
    ) -> Features:
        """Return a chunk, or raise what the process raised."""
        if self._process is None or not self._process.is_alive():
            self._start(checkpoint)
        try:
            self._connection.send(request)
            answer = self._answer(checkpoint)
        except (EOFError, OSError) as exc:
            reason = _reason(self.stop())
            raise CrashedDecoder(f"the decoder crashed: {reason}") from exc
        if isinstance(answer, SoundtagsError):
            raise answer
        chunk: Features = answer
        return chunk

    def stop(self) -> int | None:
        """Stop the process and return its exit status."""
        if self._process is None:
            return None
        self._connection.close()
        self._process.join(POLL_INTERVAL)
        self._process.kill()
        self._process.join(POLL_INTERVAL)
        status: int | None = self._process.exitcode
        self._process = None
        return status

    def _start(self, checkpoint: Callable[[], None]) -> None:
        self.stop()
        try:
            self._connection, self._process = launch(_serve, self._reader)
        except OSError as exc:
            raise NoDecoderProcess(
                f"no decoder process can be started: {_obstacle(exc)}"
            ) from exc
        try:
            self._answer(checkpoint)
        except (EOFError, OSError) as exc:
            reason = _reason(self.stop())
            raise NoDecoderProcess(
                f"the decoder process does not start: {reason}"
            ) from exc

    def _answer(self, checkpoint: Callable[[], None]) -> Any:
        """Wait for an answer while there are heartbeats."""
        deadline = time.monotonic() + self._timeout
        while True:
            if self._connection.poll(POLL_INTERVAL):
                answer = self._connection.recv()
                if answer != HEARTBEAT:
                    return answer
                deadline = time.monotonic() + self._timeout
                continue
            try:
                checkpoint()
                if time.monotonic() > deadline:
                    raise HangingDecoder(
                        "timed out: the decoder made no progress for"
                        f" {self._timeout:.0f} s"
                    )
            except (HangingDecoder, Stopped):
                self.stop()
                raise


def _obstacle(error: OSError) -> str:
    """Say why no process can be started."""
    try:
        os.getcwd()  # new processes are told where it is
    except OSError:
        return "the current folder no longer exists; change to another one"
    return OBSTACLES.get(error.errno or 0) or error.strerror or str(error)


def _reason(status: int | None) -> str:
    if status is not None and status < 0:
        with suppress(ValueError):
            return signal.Signals(-status).name
    return f"status {status}"


def _serve(connection: Connection, reader: FeatureReader) -> None:
    """Answer requests until the other side closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side stops us
    heartbeat = _Heartbeat(connection)
    files = _OpenFiles(reader, heartbeat.checkpoint)
    with suppress(EOFError, OSError):
        connection.send(READY)
        while True:
            request = connection.recv()
            connection.send(capture_errors(files.chunk, request))


class _Heartbeat:
    """Tells the other side, now and then, that there is progress."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last = time.monotonic()

    def checkpoint(self) -> None:
        """Send a heartbeat if it is time for one."""
        if time.monotonic() - self._last > HEARTBEAT_INTERVAL:
            self._connection.send(HEARTBEAT)
            self._last = time.monotonic()


class _OpenFiles:
    """Files that are being read, each at its next chunk."""

    def __init__(
        self, reader: FeatureReader, checkpoint: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._checkpoint = checkpoint
        self._chunks: OrderedDict[int, Iterator[Features]] = OrderedDict()

    def chunk(self, request: _Request) -> Features:
        chunks = self._chunks.pop(request.file, None)
        if chunks is None:
            whole = self._reader(request.path, request.spec, self._checkpoint)
            chunks = islice(whole, request.chunk, None)
        chunk = next(chunks)
        if not chunk.last:
            self._chunks[request.file] = chunks
            if len(self._chunks) > MAX_OPEN:
                self._chunks.popitem(last=False)
        return chunk
