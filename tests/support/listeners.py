"""What workers of a cluster may meet, by the name of a file; no models run.

Dask preloads this into its workers.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time

import numpy as np

from soundtags.errors import UnreadableAudio
from soundtags.inference.dask import worker
from soundtags.inference.pipeline import TrackResult
from soundtags.inference.pooling import TrackPredictions


def predict_files(files, plan, memory, reader):
    for key, file in files:
        yield predict(key, file, plan)


def predict(key, file, plan):
    name = os.path.basename(file)
    if "slow" in name:
        time.sleep(0.3)
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        time.sleep(1000)
    if "bad" in name:
        return TrackResult(key, error=UnreadableAudio("made to fail"))
    if "bug" in name:
        raise ZeroDivisionError("made to fail")
    digest = hashlib.sha256(name.encode())
    rng = np.random.default_rng(digest.digest()[0])
    models = {
        model.id: rng.random(len(model.metadata.classes), np.float32)
        for model in plan.models
    }
    inputs = {each: digest.hexdigest()[:20] for each in plan.front_ends}
    return TrackResult(key, TrackPredictions(inputs, 4.0, 0.5, models, {}))


worker.TIMEOUT = 2.0
worker.POLL_INTERVAL = 0.1
worker.predict_files = predict_files
