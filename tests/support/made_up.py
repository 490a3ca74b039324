"""Predictions that no model made, for tests of what becomes of predictions.

They depend on the audio as those of models do: on each patch alone, the same
for equal patches, and different for different ones. Files are decoded as usual,
but in this process.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from soundtags.audio.decoder_pool import DecoderPool
from soundtags.audio.features import features
from soundtags.inference.sessions import SessionPool
from soundtags.inference.verdicts import Verdicts
from soundtags.models.installed import read_model

if TYPE_CHECKING:
    from soundtags.inference.sessions import GraphSpec

DIMENSIONS = 200  # of embeddings
VARIETY = 12.0  # of logits: enough for scores on both sides of thresholds
MUSICAL = ("Progressive rock", "beautiful", "instrumental")
LEAST = 0.2  # of these tags; with less, some tracks would be speech


def install(decoders: bool = False) -> None:
    """Have this process make predictions up.

    `decoders` says whether it decodes files in processes of their own, as
    usual; they take a moment to start.
    """
    SessionPool.check = lambda *_: {}
    Verdicts.judge = lambda *_: {}
    SessionPool.run = lambda _pool, job, rows, *_: run(job, rows)
    if not decoders:
        DecoderPool.features = lambda _pool, *args: features(*args)


def run(job: GraphSpec, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return, for each output, a row of values per row of input."""
    facts = read_model(job.graph).metadata
    described = rows.reshape(len(rows), -1, rows.shape[-1]).mean(axis=1)
    described = described - described.mean(axis=1, keepdims=True)
    found = {}
    for output in job.outputs:
        is_prediction = output == facts.predictions
        size = len(facts.classes) if is_prediction else DIMENSIONS
        seed = zlib.crc32(f"{job.graph.stem} {output}".encode())
        rng = np.random.default_rng(seed)
        weights = rng.standard_normal((described.shape[1], size))
        values = described @ weights
        if is_prediction:
            values /= np.abs(values).max(axis=1, keepdims=True) + 1e-6
            values = 1 / (1 + np.exp(-VARIETY * (values - 0.5)))
            musical = [name in MUSICAL for name in facts.classes]
            values[:, musical] = np.maximum(values[:, musical], LEAST)
        found[output] = values.astype(np.float32)
    return found
