"""Essentia as in the announcement of its models; a child of rivals.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import essentia
from essentia.standard import (
    MonoLoader,
    MusicExtractor,
    TensorflowPredictMusiCNN,
)
from rival_child import serve

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 16000  # Hz


def classifiers(
    graphs: list[str],
) -> Callable[[list[str]], dict[str, Any]]:
    """Run whole classifiers, one after another, one file after another."""
    models = [TensorflowPredictMusiCNN(graphFilename=each) for each in graphs]

    def work(files: list[str]) -> dict[str, Any]:
        patches, scores = 0, []
        for file in files:
            audio = MonoLoader(filename=file, sampleRate=RATE)()
            for model in models:
                activations = model(audio)
                patches += len(activations)
                scores.append(activations.mean(axis=0).tolist())
        return {"patches": patches, "scores": scores}

    return work


def extractor() -> Callable[[list[str]], dict[str, Any]]:
    """Compute the features of the music extractor, with no models."""

    def work(files: list[str]) -> dict[str, Any]:
        for file in files:
            MusicExtractor()(file)
        return {}

    return work


if __name__ == "__main__":
    essentia.log.infoActive = False
    essentia.log.warningActive = False
    serve({"classifiers": classifiers, "extractor": extractor})
