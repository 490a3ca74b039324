"""A made-up decoder; the name of a file decides what happens to it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np

from soundtags.audio import decoder_pool
from soundtags.audio.features import Features
from soundtags.errors import UnreadableAudio

CHUNKS = 3
SLOW = 4.0  # seconds

if multiprocessing.parent_process():  # this is a process of the pool
    decoder_pool.HEARTBEAT_INTERVAL = 0.1  # several within the timeout of tests


def made_up(path, spec, checkpoint):
    """Yield chunks that tell which file and process they come from."""
    if "segfault" in path:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "abort" in path:
        os.abort()
    if "hang" in path:
        time.sleep(1000)
    if "slow" in path:
        for _ in range(int(SLOW / 0.1)):
            time.sleep(0.1)
            checkpoint()
    if "bad" in path:
        raise UnreadableAudio("made to fail")
    if "bug" in path:
        raise ZeroDivisionError("made to fail")
    for number in range(CHUNKS):
        yield Features(
            patches={path: np.full((2, 3, 4), number)},
            times={path: np.zeros(2)},
            seconds=os.getpid(),
            level=1.0,
            last=number == CHUNKS - 1,
            inputs={path: str(number)},
        )
