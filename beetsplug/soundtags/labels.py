"""Track scores to what is said of a track: values of library fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import catalogue
from .catalogue import SCORE, TAGS, TEXT
from .rules import estimates, genre_strengths
from .scores import DECIMALS, share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .plan import Settings
    from .scores import Means


def label(means: Means, settings: Settings) -> dict[str, Any]:
    """Derive the fields of a track from its means.

    Parameters
    ----------
    means
        Target to class to mean activation.
    settings
        Thresholds and lengths of lists.

    Returns
    -------
    dict
        Field to value: a list of names, a score from 0 to 1, a name, or None
        where nothing can be said. Fields of targets that were not asked for
        are missing.
    """
    answers = {**estimates(means), **means}
    fields: dict[str, Any] = {}
    for name, target in catalogue.targets().items():
        if name in answers and target.kind == SCORE:
            fields[name] = share(answers[name], str(target.positive))
        elif name in answers and target.kind == TEXT:
            fields.update(_text_fields(name, answers[name]))
    if fields.get("voice_instrumental") == "instrumental":
        # Nobody sings, so there is no gender to tell.
        fields.update(gender=None, gender_score=None)
    moods = _moods(fields, settings)
    if moods is not None:
        fields["mood"] = moods
    tags = _tags(means)
    if tags:
        fields["soundtags"] = _strongest(tags)[: settings.max_tags]
    genres = genre_strengths(means) or _genres_of_classifiers(answers)
    if genres:
        fields["genres"] = _genres(genres)[: settings.max_genres]
    return fields


def _text_fields(name: str, means: Mapping[str, float]) -> dict[str, Any]:
    top = max(means, key=lambda each: means[each])
    score = share(means, top)
    readable = catalogue.targets()[name].classes[top]
    return {
        name: readable if score is not None else None,
        f"{name}_score": score,
    }


def _moods(fields: Mapping[str, Any], settings: Settings) -> list[str] | None:
    """Return the moods that hold; None if no mood was asked for."""
    scores = {
        target.mood: fields[name]
        for name, target in catalogue.targets().items()
        if target.mood and name in fields
    }
    if not scores:
        return None
    holding = {
        mood: score
        for mood, score in scores.items()
        if score is not None and score >= settings.mood_threshold
    }
    return _strongest(holding)[: settings.max_moods]


def _tags(means: Means) -> dict[str, float]:
    """Pool the auto-taggers' tags under their readable names."""
    pooled: dict[str, float] = {}
    for name, target in catalogue.targets().items():
        if target.kind == TAGS:
            for tag, mean in means.get(name, {}).items():
                readable = target.classes[tag]
                pooled[readable] = max(mean, pooled.get(readable, 0.0))
    return pooled


def _genres(strengths: Mapping[str, float]) -> list[str]:
    """Return the genres that hold, or the likeliest one."""
    ordered = _strongest(strengths)
    holding = [genre for genre in ordered if strengths[genre] >= 1]
    return holding or ordered[:1]


def _genres_of_classifiers(answers: Means) -> dict[str, float]:
    """Take the top class of every genre classifier, where there are no tags.

    Speech is a class of one of them, but no genre.
    """
    genres: dict[str, float] = {}
    for name, target in catalogue.targets().items():
        if target.kind == TEXT and name.startswith("genre_"):
            text = _text_fields(name, answers[name]) if name in answers else {}
            if text.get(name) and text[name] != "speech":
                genre = text[name].title()
                genres[genre] = max(text[f"{name}_score"], genres.get(genre, 0))
    return genres


def _strongest(values: Mapping[str, float]) -> list[str]:
    return sorted(
        values, key=lambda name: (-round(values[name], DECIMALS), name)
    )
