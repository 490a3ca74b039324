"""Processes that compute features, so that a decoder may crash or hang."""

from __future__ import annotations

import signal
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from soundtags.audio.features import features
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

TIMEOUT = 60.0  # seconds without a heartbeat until a file is given up
HEARTBEAT_INTERVAL = 1.0  # seconds
POLL_INTERVAL = 0.1  # seconds
MAX_OPEN = 16  # files that a process keeps open; it starts others over
READY, HEARTBEAT = "ready", "heartbeat"


@dataclass(frozen=True)
class _Request:
    """A chunk that is asked for: its file's number, its own, and what of."""

    file: int
    chunk: int
    path: Path
    spec: FeatureSpec


class DecoderPool:
    """A pool of processes that compute features.

    Each process starts when it is first needed, and is replaced after a crash.

    Parameters
    ----------
    size
        The largest number of processes: as many as there are threads that ask.
    reader
        What computes the features of a file in a process.
    timeout
        Seconds without a heartbeat after which a file is given up.
    """

    def __init__(
        self,
        size: int,
        reader: FeatureReader = features,
        timeout: float = TIMEOUT,
    ) -> None:
        self._idle = [_Decoder(reader, timeout) for _ in range(size)]
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
            If no process can be started.
        """
        file, decoder = next(self._files), None
        for number in count():
            request = _Request(file, number, path, spec)
            with self._borrowed(decoder) as decoder:
                chunk = decoder.ask(request, checkpoint)
            yield chunk
            if chunk.last:
                return

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
        for decoder in self._idle:
            decoder.stop()


class _Decoder:
    """A process that computes features, seen from here."""

    def __init__(self, reader: FeatureReader, timeout: float) -> None:
        self._reader = reader
        self._timeout = timeout
        self._process: Any = None
        self._connection: Connection

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
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, self._reader), daemon=True
        )
        try:
            self._process.start()
            other.close()
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
