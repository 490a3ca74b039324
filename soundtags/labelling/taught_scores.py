"""Scores of tracks for the words that the user has taught."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundtags.blas import single_threaded
from soundtags.errors import UnusableWord
from soundtags.labelling.estimates import logistic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from soundtags.inference.pooling import TrackPredictions
    from soundtags.labelling.scores import Means
    from soundtags.models.plan import Plan
    from soundtags.models.taught_words import TaughtWord

FLOOR = 0.01  # added to activations before their logarithm is taken
MOST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Block:
    """Outputs of an auto-tagger for some tracks, as words use them.

    Attributes
    ----------
    model
        Identity of the auto-tagger, see
        :meth:`soundtags.models.plan.Plan.identity`.
    classes
        Classes of the auto-tagger.
    values
        Logarithms of its activations, then its embeddings: float32, shape
        (..., classes + dimensions).
    """

    model: str
    classes: tuple[str, ...]
    values: np.ndarray

    @classmethod
    def of(
        cls,
        model: str,
        classes: tuple[str, ...],
        activations: np.ndarray,
        embeddings: np.ndarray,
    ) -> Block:
        """Make a block from mean activations and mean embeddings.

        Parameters
        ----------
        model, classes
            As in the class.
        activations
            Shape (..., classes).
        embeddings
            Shape (..., dimensions).
        """
        # The cache has embeddings as half floats, and scores must not depend
        # on whether embeddings come from it.
        halves = embeddings.clip(-MOST, MOST).astype(np.float16)
        logarithms = np.log(FLOOR + activations)
        values = np.concatenate(
            [logarithms, halves], axis=-1, dtype=np.float32, casting="same_kind"
        )
        return cls(model, classes, values)


def scores(word: TaughtWord, blocks: Iterable[Block]) -> np.ndarray:
    """Return the scores of tracks for a word.

    Parameters
    ----------
    word
        The word.
    blocks
        Outputs of auto-taggers for the tracks.

    Returns
    -------
    numpy.ndarray
        Shape (...), like the values of the blocks without their last axis.

    Raises
    ------
    UnusableWord
        If the word was taught with other models, or other outputs of them.
    """
    found = {block.model: block for block in blocks}
    log_odds = np.array(word.bias)
    for model, weights in word.models.items():
        block = found.get(model)
        if block is None or weights.activations.keys() != {*block.classes}:
            raise UnusableWord(f"{word.word}: needs {model}")
        activations = [weights.activations[name] for name in block.classes]
        vector = np.array([*activations, *weights.embedding], np.float32)
        if block.values.shape[-1:] != vector.shape:
            raise UnusableWord(f"{word.word}: has other weights than {model}")
        with single_threaded():
            log_odds = log_odds + block.values @ vector
    return logistic(log_odds)


def taught_means(predictions: TrackPredictions, plan: Plan) -> Means:
    """Return what a model of each taught word would give for a track.

    Parameters
    ----------
    predictions
        Predictions of all models of the plan.
    plan
        Which words there are, and which models they use.

    Returns
    -------
    dict
        Target to class to score, without words for which the predictions do
        not suffice.
    """
    if not plan.words:
        return {}
    activations, embeddings = predictions.activations, predictions.embeddings
    blocks = [
        Block.of(
            plan.identity(model),
            model.metadata.classes,
            activations[model.id],
            embeddings[model.id],
        )
        for model in plan.fed
        if model.id in activations and model.id in embeddings
    ]
    means: Means = {}
    for word in plan.words:
        with suppress(UnusableWord):
            score = float(scores(word, blocks))
            answers = {word.word: score, f"not {word.word}": 1 - score}
            means[word.target.name] = answers
    return means
