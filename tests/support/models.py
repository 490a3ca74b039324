"""Small models for tests, and plans of them."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soundtags.inference import graph as graphs
from soundtags.inference import sessions
from soundtags.labelling.interpret import interpret
from soundtags.models import plan
from soundtags.models.settings import Settings

from .needs import tensorflow

NOWHERE = Path("does-not-exist")


def write_model(
    folder: Path,
    name: str,
    classes: list[str],
    logits: list[float],
    backbone: str | None = None,
    accuracy: float = 0.5,
    size: int = 0,
) -> Path:
    """Write a model whose activations are always the same.

    `size` is the number of extra floats, which make the graph larger.
    """
    tf = tensorflow()
    shape = (None, 200) if backbone else (None, 187, 96)
    with tf.Graph().as_default() as graph:
        fed = tf.placeholder(tf.float32, shape, name="model/Placeholder")
        rows = 0.0 * tf.reshape(fed, [tf.shape(fed)[0], -1])[:, :1]
        padding = tf.constant(np.zeros(size, np.float32))
        constant = tf.constant([logits], tf.float32) + tf.reduce_sum(padding)
        tf.sigmoid(rows + constant, name="model/Sigmoid")
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.pb"
        path.write_bytes(graph.as_graph_def().SerializeToString())
    write_metadata(path, classes, backbone, accuracy)
    return path


def write_metadata(
    graph: Path,
    classes: list[str],
    backbone: str | None = None,
    accuracy: float = 0.5,
) -> None:
    """Write what upstream would say of a graph, beside it."""
    inference = {"algorithm": "TensorflowPredictMusiCNN"}
    if backbone:
        inference = {
            "algorithm": "TensorflowPredict2D",
            "embedding_model": {"model_name": backbone},
        }
    metadata = {
        "classes": classes,
        "dataset": {"metrics": {"accuracy": accuracy}},
        "schema": {
            "inputs": [{"name": "model/Placeholder"}],
            "outputs": [
                {"name": "model/Sigmoid", "output_purpose": "predictions"}
            ],
        },
        "inference": inference,
    }
    graph.with_suffix(".json").write_text(json.dumps(metadata))


def make(names, folder: Path = NOWHERE) -> plan.Plan:
    warnings: list[str] = []
    made = plan.make_plan(names, folder, Settings(), warnings.append)
    assert not warnings
    return made


def outcome(result, made: plan.Plan):
    """Return the interpretation of a result's predictions, or its error."""
    return result.error or interpret(result.predictions, made)


class CountingLoader:
    """Records which graphs get a session, and which lose it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loaded: list[str] = []
        self.closed: list[str] = []
        self._last = threading.local()  # graph that a thread has read
        tf = tensorflow()
        self._read, self._open = graphs.read_graph, tf.Session
        monkeypatch.setattr(sessions, "read_graph", self._reading)
        monkeypatch.setattr(tf, "Session", self._opening)

    def _reading(self, path: Path, *args: Any) -> Any:
        self._last.name = path.stem
        return self._read(path, *args)

    def _opening(self, *args: Any, **options: Any) -> Any:
        name, session = self._last.name, self._open(*args, **options)
        self.loaded.append(name)
        close = session.close

        def closing() -> None:
            self.closed.append(name)
            session.close = close  # TensorFlow closes it once more
            close()

        session.close = closing
        return session
