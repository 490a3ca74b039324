"""Whether loading TensorFlow here would end the whole process.

It is compiled for certain processors and systems; on others, it may crash or
exit. A throwaway process finds out, once for each installed TensorFlow and
processor.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from soundtags.errors import NoTensorFlow
from soundtags.inference.tensorflow_engine import (
    PACKAGE,
    identity,
    is_likely,
    processor,
)
from soundtags.inference.trial import AT_LOADING, crash_at_loading
from soundtags.inference.verdict_file import load_reasons, save_reasons

if TYPE_CHECKING:
    from pathlib import Path

PART = "loading"  # of the file


class LoadingCheck:
    """Loads TensorFlow in a process of its own, unless the outcome is known.

    Parameters
    ----------
    path : pathlib.Path
        The file of verdicts. Where it cannot be read or written, TensorFlow
        is tried in each run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._is_done = False

    def __call__(self) -> None:
        """Find out whether TensorFlow can be loaded.

        An error that TensorFlow raises does no harm; whoever loads it gets it.

        Raises
        ------
        NoTensorFlow
            If it would end this process, or the attempt was interrupted.
        """
        with self._lock:
            if not self._is_done:
                self._check()
                self._is_done = True

    def _check(self) -> None:
        if PACKAGE in sys.modules or not is_likely():
            return
        versions, here = identity(), processor()
        known = load_reasons(self._path, PART, versions)
        if here not in known:
            try:
                known[here] = crash_at_loading()
            except InterruptedError as exc:  # not kept: try again next time
                raise NoTensorFlow(AT_LOADING.format(f"is {exc}")) from exc
            except OSError:  # no process can be started: skip the check
                return
            save_reasons(self._path, PART, versions, known)
        if reason := known[here]:
            raise NoTensorFlow(reason)
