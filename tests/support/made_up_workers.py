"""Predictions made up in workers; the name of a file decides what happens.

Dask preloads this into its workers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pickle
import signal
import time

import numpy as np

from soundtags.errors import UnreadableAudio
from soundtags.inference.dask import worker
from soundtags.inference.dask.messages import (
    GraphFile,
    MissingGraphs,
    plan_models,
)
from soundtags.inference.pipeline import TrackResult
from soundtags.inference.pooling import TrackPredictions


class Unreadable:
    """An object that cannot be unpickled."""

    def __reduce__(self):
        return (divmod, (1, 0))


def floats(*values):
    return base64.b64encode(np.array(values, "<f4").tobytes()).decode()


def with_activations(answer, values):
    for result in answer["predicted"]:
        result["activations"] = dict.fromkeys(result["activations"], values)
    return answer


# Answers of a worker that cannot be used, by a word in the name of a file. Each
# is made from a good answer.
STRANGE = {
    "number": lambda _: 5,
    "object": lambda _: Unreadable(),
    "none": lambda _: None,
    "garbage": lambda _: b"\xff garbage",
    "list": lambda answer: [answer],
    "anonymous": lambda answer: {**answer, "worker": None},
    "empty": lambda answer: {"worker": answer["worker"]},
    "few": lambda answer: {**answer, "predicted": []},
    "many": lambda answer: {**answer, "predicted": answer["predicted"] * 2},
    "texts": lambda answer: {**answer, "predicted": ["text"]},
    "shape": lambda answer: with_activations(answer, floats(0.5, 0.5)),
    "nan": lambda answer: with_activations(answer, floats(*[np.nan] * 50)),
    "infinite": lambda answer: with_activations(answer, floats(*[np.inf] * 50)),
    "fault": lambda answer: {
        "worker": answer["worker"],
        "failed": {"kind": "BrokenModels", "faults": {"x": "y"}, "text": ""},
    },
    "kind": lambda answer: {
        "worker": answer["worker"],
        "failed": {"kind": "SystemExit", "text": ""},
    },
    "foreign": lambda answer: {
        "worker": answer["worker"],
        "missing": [["x.pb", "0" * 64]],
    },
}


def answer(version, payload, good=worker.answer):
    """Answer a request, strangely if a file's name says so."""
    answered = good(version, payload)
    files = getattr(pickle.loads(payload), "files", ())
    for name, change in STRANGE.items():
        if any(f"strange {name}." in file.path for file in files):
            strange = change(json.loads(answered))
            is_data = isinstance(strange, (dict, list))
            return json.dumps(strange).encode() if is_data else strange
    return answered


def ask_forever(request):
    """Ask for the graphs of every plan, whatever comes."""
    models = plan_models(request.plan)
    return MissingGraphs([GraphFile.of(model) for model in models])


def predict_files(files, plan, memory, engine, reader):
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


def dask_setup(_worker):
    """Called by Dask in each worker."""
    if "ASKS_FOREVER" in os.environ:
        worker._predict = ask_forever
    worker.answer = answer
    worker.TIMEOUT = 2.0
    worker.POLL_INTERVAL = 0.1
    worker.predict_files = predict_files
