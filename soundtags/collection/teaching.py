"""Teaching a word: from examples to weights, and how good these are.

A word is a logistic regression on the outputs of auto-taggers for a track.
Examples count as much as all other tracks together, so that a track with a
score of 0.5 is as much like the examples as like the rest: no threshold has to
be chosen, and the share of examples found when they are left out is the share
that will be found of further tracks like them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundtags.collection.regression import folds_of, regress
from soundtags.errors import UnteachableWord
from soundtags.labelling.estimates import logistic
from soundtags.labelling.taught_scores import scores
from soundtags.models.taught_words import Check, ModelWeights, TaughtWord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundtags.labelling.taught_scores import Block

LEAST = 5  # fewest examples, and fewest other tracks
MOST = 1000  # other tracks to learn from; more make no difference
FOLDS = 5
PENALTY, SLOPE_PENALTY = 1.0, 0.1
SLOPES = 0.5, 4.0  # limits of the factor that spreads scores
CONSTANT = 1e-6  # standard deviation up to which an input says nothing


@dataclass(frozen=True)
class Lesson:
    """What a word is learned from: tracks, some of which are examples.

    Attributes
    ----------
    blocks
        Outputs of each auto-tagger for the tracks.
    examples, refused
        Which tracks are examples, and which are counter-examples. Shape
        (tracks,), bool.
    albums
        Number of the album of each track, shape (tracks,).
    """

    blocks: Sequence[Block]
    examples: np.ndarray
    refused: np.ndarray
    albums: np.ndarray


@dataclass(frozen=True)
class Learned:
    """What was learned.

    Attributes
    ----------
    word
        The word, with its weights.
    scores
        The score of each track, shape (tracks,).
    doubtful
        Indices of the tracks for which an answer would help most, the least
        certain first; no two of one album if there is a choice.
    advantage
        Share of the examples that are more like the examples than like the
        rest if they are left out in learning, minus that of the other tracks;
        None if there is no way to tell.
    """

    word: TaughtWord
    scores: np.ndarray
    doubtful: list[int]
    advantage: float | None


@dataclass(frozen=True)
class _Rows:
    """Tracks to learn from, or to check what was learned.

    Attributes
    ----------
    inputs
        Standardised, shape (rows, inputs).
    wanted, refused, albums
        As in a lesson; `wanted` is 1 for its examples, and 0 for the rest.
    """

    inputs: np.ndarray
    wanted: np.ndarray
    refused: np.ndarray
    albums: np.ndarray

    def take(self, which: np.ndarray) -> _Rows:
        """Return some of the rows."""
        return _Rows(
            self.inputs[which],
            self.wanted[which],
            self.refused[which],
            self.albums[which],
        )

    def weights(self) -> np.ndarray:
        """Return how much rows count: examples as much as all others together.

        Each counter-example counts as much as an example, but together they
        count for at most half of all others, unless they are all others.
        """
        examples = self.wanted.sum()
        rest = (self.wanted == 0) & ~self.refused
        most = examples / 2 if rest.any() else examples
        against = min(self.refused.sum(), most)
        weights = np.ones(len(self.wanted))
        weights[self.refused] = against / max(self.refused.sum(), 1)
        weights[rest] = (examples - against) / max(rest.sum(), 1)
        return weights

    def regress(self) -> np.ndarray:
        """Return the weights, the bias last."""
        return regress(self.inputs, self.wanted, self.weights(), PENALTY)

    def unseen(self) -> np.ndarray | None:
        """Return the log-odds of each row, learned without its album.

        None if all examples are of one album.
        """
        found = np.zeros(len(self.wanted))
        folds = self._folds()
        if folds is None:
            return None
        for fold in np.unique(folds):
            within = folds == fold
            *weights, bias = self.take(~within).regress()
            found[within] = self.inputs[within] @ np.array(weights) + bias
        return found

    def _folds(self) -> np.ndarray | None:
        """Return the fold of each row; every fold has some of the examples."""
        with_examples = np.isin(self.albums, self.albums[self.wanted > 0])
        count = min(FOLDS, len(np.unique(self.albums[with_examples])))
        if count < 2:
            return None
        folds = np.zeros(len(self.albums), int)
        for part in (with_examples, ~with_examples):
            folds[part] = folds_of(self.albums[part], count)
        return folds


def teach(
    word: str, lesson: Lesson, threshold: float = 0.5, doubts: int = 10
) -> Learned:
    """Learn a word from examples.

    Parameters
    ----------
    word
        The word.
    lesson
        The tracks.
    threshold
        Score from which a track has the word.
    doubts
        How many doubtful tracks to name.

    Raises
    ------
    UnteachableWord
        If there are too few examples or other tracks.
    """
    _check_numbers(word, lesson)
    chosen = _sample(lesson)
    inputs, scales, means = _standardised(lesson.blocks, chosen)
    rows = _Rows(
        inputs,
        lesson.examples[chosen].astype(float),
        lesson.refused[chosen],
        lesson.albums[chosen],
    )
    *fitted, bias = rows.regress()
    unseen = rows.unseen()
    slope = 1.0 if unseen is None else _slope(rows, unseen)
    weights = [_short(each) for each in np.array(fitted) * scales * slope]
    made = TaughtWord(
        word=word,
        examples=int(lesson.examples.sum()),
        check=(
            None
            if unseen is None
            else _check(lesson, chosen, logistic(unseen * slope) >= threshold)
        ),
        bias=_short(bias * slope - float(np.array(weights) @ means), 6),
        models=_by_model(lesson.blocks, weights),
    )
    found = scores(made, lesson.blocks)
    doubtful = _doubtful(found - threshold, lesson, doubts)
    return Learned(made, found, doubtful, _advantage(rows, unseen))


def _check_numbers(word: str, lesson: Lesson) -> None:
    examples, total = int(lesson.examples.sum()), len(lesson.examples)
    if examples < LEAST:
        raise UnteachableWord(
            f"{word}: {examples} examples are too few; give at least {LEAST},"
            " better 20, from several albums"
        )
    if total - examples < LEAST:
        raise UnteachableWord(
            f"{word}: {examples} of {total} analysed tracks are examples; there"
            " must be others, to learn what is different about them"
        )


def _sample(lesson: Lesson) -> np.ndarray:
    """Return the tracks to learn from: all those named, and some others."""
    told = lesson.examples | lesson.refused
    rest = np.random.default_rng(0).permutation(np.flatnonzero(~told))[:MOST]
    return np.sort(np.concatenate([np.flatnonzero(told), rest]))


def _standardised(
    blocks: Sequence[Block], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, their scales, and the means subtracted from them.

    The activations of each model, and likewise its embeddings, have the same
    total variance, however many numbers they are.
    """
    values, scales = [], []
    for block in blocks:
        chosen = block.values[rows].astype(float)
        for part in np.split(chosen, [len(block.classes)], axis=1):
            spread = part.std(axis=0)
            share = np.sqrt(2 * len(blocks) * part.shape[1])
            scale = np.zeros(len(spread))
            np.divide(1, spread * share, out=scale, where=spread > CONSTANT)
            values.append(part)
            scales.append(scale)
    joined, scale = np.concatenate(values, axis=1), np.concatenate(scales)
    means = joined.mean(axis=0)
    return (joined - means) * scale, scale, means


def _slope(rows: _Rows, unseen: np.ndarray) -> float:
    """Return the factor by which log-odds have to be multiplied.

    The penalty on weights keeps scores too close to 0.5; unseen rows tell how
    much.
    """
    slope, _ = regress(
        unseen[:, None], rows.wanted, rows.weights(), SLOPE_PENALTY
    )
    return float(np.clip(slope, *SLOPES))


def _advantage(rows: _Rows, unseen: np.ndarray | None) -> float | None:
    if unseen is None:
        return None
    has, examples = unseen >= 0, rows.wanted > 0
    return float(has[examples].mean() - has[~examples].mean())


def _check(lesson: Lesson, chosen: np.ndarray, has: np.ndarray) -> Check:
    """Return how many tracks have the word that was learned without them."""
    refused = bool(lesson.refused.any())
    against = lesson.refused if refused else ~lesson.examples
    others = int(against.sum())
    return Check(
        found=int(has[lesson.examples[chosen]].sum()),
        named=round(float(has[against[chosen]].mean()) * others),
        others=others,
        refused=refused,
    )


def _by_model(
    blocks: Sequence[Block], weights: Sequence[float]
) -> dict[str, ModelWeights]:
    found, start = {}, 0
    for block in blocks:
        middle, end = (
            start + len(block.classes),
            start + block.values.shape[1],
        )
        found[block.model] = ModelWeights(
            dict(zip(block.classes, weights[start:middle])),
            tuple(weights[middle:end]),
        )
        start = end
    return found


def _doubtful(above: np.ndarray, lesson: Lesson, count: int) -> list[int]:
    told = lesson.examples | lesson.refused
    distance = np.where(told, np.inf, np.abs(above))
    order = np.argsort(distance, kind="stable")[: int((~told).sum())]
    _, firsts = np.unique(lesson.albums[order], return_index=True)
    one_of_each = np.sort(firsts)
    others = np.setdiff1d(np.arange(len(order)), one_of_each)
    places = np.sort(np.concatenate([one_of_each, others])[:count])
    return [int(each) for each in order[places]]


def _short(number: float, digits: int = 4) -> float:
    return float(f"{number:.{digits}g}")
