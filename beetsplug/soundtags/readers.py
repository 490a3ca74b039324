"""Files to features, in processes that decoders may crash."""

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

from .errors import (
    CrashedDecoder,
    HangingDecoder,
    NoReader,
    SoundtagsError,
    Stopped,
    attempt,
)
from .features import features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from .decoding import Path
    from .features import Features, Reading, Wanted

PATIENCE = 60.0  # seconds without a sign of life from who reads a file
SIGN = 1.0  # seconds between these signs
GLANCE = 0.1  # seconds until somebody who waits sees that all is to stop
OPEN = 16  # files that a process keeps open; others are begun anew
READY, ALIVE = "ready", "alive"


@dataclass(frozen=True)
class _Request:
    file: int  # the number of the file among all
    portion: int  # the number of the portion of it
    path: Path
    wanted: Wanted


class Readers:
    """Processes that read files, each started when it is first needed.

    Parameters
    ----------
    jobs
        How many at most: as many as threads ask at a time.
    work
        What they do with a file.
    patience
        Seconds without a sign of life after which a file is given up.
    """

    def __init__(
        self, jobs: int, work: Reading = features, patience: float = PATIENCE
    ) -> None:
        self._idle = [_Reader(work, patience) for _ in range(jobs)]
        self._returned = threading.Condition()
        self._files = count()

    def features(
        self, path: Path, wanted: Wanted, stopped: Callable[[], bool]
    ) -> Iterator[Features]:
        """Read a file as :func:`features.features` does, elsewhere.

        Raises
        ------
        CrashedDecoder
            If a decoder takes its process down; other files get another.
        HangingDecoder
            If nothing moves for longer than the patience.
        NoReader
            If there can be no such process.
        """
        file, reader = next(self._files), None
        for portion in count():
            request = _Request(file, portion, path, wanted)
            with self._turn(reader) as reader:
                found = reader.ask(request, stopped)
            yield found
            if found.last:
                return

    @contextmanager
    def _turn(self, wanted: _Reader | None) -> Iterator[_Reader]:
        """Have a reader for oneself: the one that is wanted, or any."""
        with self._returned:
            self._returned.wait_for(
                lambda: wanted in self._idle if wanted else self._idle
            )
            reader = wanted or self._idle[0]
            self._idle.remove(reader)
        try:
            yield reader
        finally:
            with self._returned:
                self._idle.insert(0, reader)
                self._returned.notify_all()

    def close(self) -> None:
        """End all processes."""
        for reader in self._idle:
            reader.end()


class _Reader:
    """A process that reads files, and the way to it."""

    def __init__(self, work: Reading, patience: float) -> None:
        self._work = work
        self._patience = patience
        self._process: Any = None
        self._connection: Connection

    def ask(self, request: _Request, stopped: Callable[[], bool]) -> Features:
        if self._process is None or not self._process.is_alive():
            self._start(stopped)
        try:
            self._connection.send(request)
            answer = self._answer(stopped)
        except (EOFError, OSError) as exc:
            reason = _reason(self.end())
            raise CrashedDecoder(f"a decoder crashed on it: {reason}") from exc
        if isinstance(answer, SoundtagsError):
            raise answer
        found: Features = answer
        return found

    def end(self) -> int | None:
        """End the process, and return its status."""
        if self._process is None:
            return None
        self._connection.close()
        self._process.join(GLANCE)
        self._process.kill()
        self._process.join(GLANCE)
        status: int | None = self._process.exitcode
        self._process = None
        return status

    def _start(self, stopped: Callable[[], bool]) -> None:
        self.end()
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, self._work), daemon=True
        )
        try:
            self._process.start()
            other.close()
            self._answer(stopped)
        except (EOFError, OSError) as exc:
            reason = _reason(self.end())
            raise NoReader(f"no process to read files in: {reason}") from exc

    def _answer(self, stopped: Callable[[], bool]) -> Any:
        """Wait for an answer, as long as there are signs of life."""
        deadline = time.monotonic() + self._patience
        while True:
            if self._connection.poll(GLANCE):
                answer = self._connection.recv()
                if answer != ALIVE:
                    return answer
                deadline = time.monotonic() + self._patience
            elif stopped():
                self.end()
                raise Stopped
            elif time.monotonic() > deadline:
                self.end()
                raise HangingDecoder(
                    f"given up: no sound of it in {self._patience:.0f} s"
                )


def _reason(status: int | None) -> str:
    if status is not None and status < 0:
        with suppress(ValueError):
            return signal.Signals(-status).name
    return f"status {status}"


def _serve(connection: Connection, work: Reading) -> None:
    """Answer requests, until nobody is left to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks will end us
    shelf = _Shelf(work, _Pulse(connection))
    with suppress(EOFError, OSError):
        connection.send(READY)
        while True:
            request = connection.recv()
            connection.send(attempt(shelf.portion, request))


class _Pulse:
    """Gives signs of life, where a reader is asked whether to give up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._last > SIGN:
            self._connection.send(ALIVE)
            self._last = time.monotonic()
        return False


class _Shelf:
    """Files that are being read, each open at its next portion."""

    def __init__(self, work: Reading, stopped: Callable[[], bool]) -> None:
        self._work = work
        self._stopped = stopped
        self._open: OrderedDict[int, Iterator[Features]] = OrderedDict()

    def portion(self, request: _Request) -> Features:
        portions = self._open.pop(request.file, None)
        if portions is None:
            everything = self._work(request.path, request.wanted, self._stopped)
            portions = islice(everything, request.portion, None)
        found = next(portions)
        if not found.last:
            self._open[request.file] = portions
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        return found
