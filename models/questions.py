"""The questions that estimates answer, and what answers them in the data.

Listeners (of Emotify) chose emotions; lists of tracks tell what kind of music
a track is. For each question, a row of the data has a label from 0 to 1, or
NaN where the data does not tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from soundtags.labelling.estimates import logistic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labelled import Data

Kinds = tuple[str, ...]  # how the names of kinds of music begin


class Emotions(NamedTuple):
    """A question that listeners answered.

    Attributes
    ----------
    weights
        Emotion to how much the share of listeners who chose it counts.
    least
        The sum from which the answer is yes.
    softness
        How far around that sum the answer is neither a clear yes nor a clear
        no.
    no, yes
        Kinds of music for which the answer is plain, whoever listens.
    unless
        Something that the taggers know and that rules out a yes: a name in
        groups.json. The clips have no music that is so plainly of that kind,
        or listeners meant something else by the same emotions.
    """

    weights: Mapping[str, int]
    least: float
    softness: float = 0.15
    no: Kinds = ()
    yes: Kinds = ()
    unless: str | None = None


class Music(NamedTuple):
    """A question that the kind of music answers.

    Attributes
    ----------
    yes, no
        Kinds of music.
    favour
        How much a yes counts, where a no counts 1, once both are balanced.
    """

    yes: Kinds
    no: Kinds
    favour: float = 1.0


EMOTIONS = {
    "mood_relaxed": Emotions(
        {"calmness": 1, "tenderness": 1, "tension": -1, "power": -1},
        least=0.25,
        no=("metal", "industrial", "techno/breakbeat"),
        unless="plain metal",
    ),
    "mood_happy": Emotions(
        {"joyful_activation": 1, "sadness": -1, "tension": -1},
        least=-0.08,
        no=("spoken", "metal", "industrial"),
        unless="plain metal",
    ),
    "mood_sad": Emotions(
        {"sadness": 1, "nostalgia": 1, "joyful_activation": -1},
        least=0.25,
        no=("techno", "house", "metal", "drum and bass"),
    ),
    "mood_aggressive": Emotions(
        {"power": 1, "tension": 1, "calmness": -1, "tenderness": -1},
        least=0.33,
        no=("orchestral", "ambient", "folk", "classical", "world", "jazz"),
        yes=("metal",),
        unless="plain ambient",
    ),
    "mood_party": Emotions(
        {"joyful_activation": 1, "power": 1, "calmness": -1},
        least=0.37,
        no=("orchestral", "ambient", "classical", "spoken", "metal"),
        unless="plain metal",
    ),
    # The middle of what listeners chose is a score of 0.5.
    "energy": Emotions(
        {
            "power": 1,
            "joyful_activation": 1,
            "tension": 1,
            "calmness": -1,
            "tenderness": -1,
        },
        least=0.24,
        softness=0.45,
    ),
    "valence": Emotions(
        {"joyful_activation": 1, "amazement": 1, "tension": -1, "sadness": -1},
        least=0.0,
        softness=0.3,
    ),
}
PLAIN = 0.03  # the label of a plain no

BEATS = ("techno", "house", "drum", "hip hop")
SCORED = ("orchestral", "classical", "folk/", "emotify classical")
MUSIC = {
    "voice_instrumental": Music(("voice",), ("instrumental",), favour=2),
    "danceability": Music((*BEATS, "reggae"), (*SCORED, "ambient")),
    "mood_acoustic": Music(
        SCORED,
        (
            *(*BEATS, "chiptune", "electronic", "metal", "rock/metal"),
            "emotify electronic",
        ),
        favour=0.4,
    ),
    "mood_electronic": Music(
        (*BEATS, "chiptune", "electronic", "emotify electronic"),
        (*SCORED, "jazz", "metal", "pop/rock", "folk", "emotify rock"),
        favour=0.3,
    ),
    "speech": Music(("speech", "spoken"), ("music",), favour=0.3),
}


def emotion_sums(name: str, data: Data) -> np.ndarray:
    """Return weighted sums of listeners' choices; NaN where none were asked."""
    weights = EMOTIONS[name].weights
    return np.sum([w * data.shares[e] for e, w in weights.items()], axis=0)


def answers(name: str, data: Data) -> np.ndarray:
    """Return whether listeners say yes: 0, 1 or NaN."""
    chosen = emotion_sums(name, data)
    said = (chosen >= EMOTIONS[name].least).astype(float)
    return np.where(np.isnan(chosen), np.nan, said)


def labels(name: str, data: Data) -> np.ndarray:
    """Return the labels of all rows for a question."""
    if name in MUSIC:
        question = MUSIC[name]
        found = np.full(len(data.ids), np.nan)
        found[data.are(question.no)] = 0
        found[data.are(question.yes)] = 1
        return found
    asked = EMOTIONS[name]
    distance = emotion_sums(name, data) - asked.least
    found = logistic(distance / asked.softness)
    found[data.are(asked.no)] = PLAIN
    found[data.are(asked.yes)] = 1 - PLAIN
    return found
