"""A timeout for decoders that hang in a worker's own process."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

from soundtags.audio.features import features
from soundtags.errors import HangingDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soundtags.audio.features import FeatureReader, Features, FeatureSpec

T = TypeVar("T")


class Watchdog:
    """Runs work in a thread, and abandons the thread if decoding stalls.

    A thread cannot be killed: one that hangs is left behind.

    Parameters
    ----------
    timeout
        Seconds without progress after which the work is abandoned.
    poll_interval
        Seconds between checks.
    """

    def __init__(self, timeout: float, poll_interval: float) -> None:
        self._timeout = timeout
        self._poll_interval = poll_interval
        self._last_progress = time.monotonic()

    def run(self, work: Callable[[FeatureReader], T]) -> T:
        """Return the result of some work.

        Parameters
        ----------
        work
            Called with the function that it must read files with.

        Raises
        ------
        HangingDecoder
            If the decoder makes no progress for too long.
        """
        result: Future[T] = Future()

        def settle() -> None:
            try:
                result.set_result(work(self._features))
            except BaseException as exc:
                result.set_exception(exc)

        threading.Thread(target=settle, name="soundtags", daemon=True).start()
        while not wait([result], self._poll_interval).done:
            if time.monotonic() > self._last_progress + self._timeout:
                raise HangingDecoder(
                    "timed out: the decoder made no progress for"
                    f" {self._timeout:.0f} s"
                )
        return result.result()

    def _features(
        self,
        path: bytes | str,
        spec: FeatureSpec,
        checkpoint: Callable[[], None],
    ) -> Iterator[Features]:
        """Read a file, and note its progress."""

        def note_progress() -> None:
            self._last_progress = time.monotonic()
            checkpoint()

        for chunk in features(path, spec, note_progress):
            note_progress()
            yield chunk
