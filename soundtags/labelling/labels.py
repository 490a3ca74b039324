"""Track scores to what is said of a track: values of library fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundtags.labelling.rules import GENRES, genre_strengths
from soundtags.labelling.scores import DECIMALS, share
from soundtags.models.catalogue import (
    LIST,
    NUMBERS,
    SCORE,
    SPLIT,
    STYLE,
    STYLES,
    TAGS,
    TAGS_FIELD,
    TEXT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from soundtags.labelling.scores import Means
    from soundtags.models.catalogue import Target
    from soundtags.models.settings import Settings

# Mean activation from which one of many classes holds that exclude none of
# the others.
LIST_THRESHOLD = 0.1


def label(
    means: Means,
    estimates: Means,
    targets: Mapping[str, Target],
    settings: Settings,
) -> dict[str, Any]:
    """Derive the fields of a track from its means.

    Parameters
    ----------
    means
        Target to class to mean activation.
    estimates
        The same, of what the rules said of targets that no model answers.
    targets
        All targets by name.
    settings
        Thresholds, names and lengths of lists.

    Returns
    -------
    dict
        Field to value: a list of names, a number, a name, or None where
        nothing can be said. Fields of targets that were not asked for are
        missing.
    """
    answers = {**estimates, **means}
    names = Names(settings)
    fields: dict[str, Any] = {}
    for name, target in targets.items():
        if name in answers and target.kind in FIELDS_OF:
            fields.update(FIELDS_OF[target.kind](target, answers[name], names))
    if _nobody_sings(answers):
        fields.update(gender=None, gender_score=None)
    moods = _moods(fields, targets, names)
    if moods is not None:
        fields["mood"] = moods
    tags = _tags(means, targets)
    if tags:
        fields[TAGS_FIELD] = names.list(strongest(tags), settings.max_tags)
    genres = _genres(means, targets, names)
    if genres:
        fields[GENRES] = genres
    return fields


class Names:
    """The user's words, and what they have to be strong enough for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._labels = {k.lower(): v for k, v in settings.labels.items()}
        self._thresholds = {
            k.lower(): v for k, v in settings.thresholds.items()
        }
        self._never = {name.lower() for name in settings.never_genres}

    def of(self, name: str) -> str | None:
        """Return the user's word for a name; None if there is to be none."""
        return self._labels.get(name.lower(), name)

    def list(self, names: Iterable[str], limit: int) -> list[str]:
        """Return the user's words for some names, each once."""
        words = dict.fromkeys(map(self.of, names))
        return [word for word in words if word][:limit]

    def holds(self, name: str, strength: float, usual: float) -> bool:
        """Whether a name is strong enough."""
        return strength >= self.threshold(name, usual)

    def threshold(self, name: str, usual: float) -> float:
        """Return what a name has to be strong enough for."""
        return self._thresholds.get(name.lower(), usual)

    def is_genre(self, name: str) -> bool:
        """Whether a class can be a genre."""
        return name.lower() not in self._never


def _score_field(
    target: Target, means: Mapping[str, float], _names: Names
) -> dict[str, Any]:
    return {target.name: share(means, str(target.positive))}


def _text_fields(
    target: Target, means: Mapping[str, float], names: Names
) -> dict[str, Any]:
    top = max(means, key=lambda each: means[each])
    score = share(means, top)
    return {
        target.name: None if score is None else names.of(target.classes[top]),
        f"{target.name}_score": score,
    }


def _list_field(
    target: Target, means: Mapping[str, float], names: Names
) -> dict[str, Any]:
    ordered = [target.classes[name] for name in strongest(means)]
    return {target.name: names.list(ordered, names.settings.max_tags)}


def _style_fields(
    target: Target, means: Mapping[str, float], names: Names
) -> dict[str, Any]:
    styles: dict[str, float] = {}
    for name, mean in means.items():
        style = target.classes[name].rpartition(SPLIT)[2]
        styles[style] = max(mean, styles.get(style, 0.0))
    fields = {
        target.name: _of_classes(target, means),
        target.name + STYLE: styles,
    }
    return {
        name: _holding(strengths, LIST_THRESHOLD, names)
        for name, strengths in fields.items()
    }


def _number_fields(
    target: Target, means: Mapping[str, float], _names: Names
) -> dict[str, Any]:
    return {
        target.classes[name]: round(mean, DECIMALS)
        for name, mean in means.items()
    }


FIELDS_OF: dict[
    str, Callable[[Target, Mapping[str, float], Names], dict[str, Any]]
] = {
    SCORE: _score_field,
    TEXT: _text_fields,
    LIST: _list_field,
    STYLES: _style_fields,
    NUMBERS: _number_fields,
}


def _nobody_sings(answers: Means) -> bool:
    voice = answers.get("voice_instrumental")
    return voice is not None and voice["voice"] <= voice["instrumental"]


def _moods(
    fields: Mapping[str, Any], targets: Mapping[str, Target], names: Names
) -> list[str] | None:
    """Return the moods that hold; None if no mood was asked for."""
    scores = {
        target.mood: fields[name]
        for name, target in targets.items()
        if target.mood and name in fields
    }
    if not scores:
        return None
    usual = names.settings.mood_threshold
    holding = {
        mood: score
        for mood, score in scores.items()
        if score is not None and names.holds(mood, score, usual)
    }
    return names.list(strongest(holding), names.settings.max_moods)


def mood_thresholds(
    targets: Mapping[str, Target], settings: Settings
) -> dict[str, float]:
    """Return the fields that decide about moods, and from where on they hold.

    Parameters
    ----------
    targets
        All targets by name.
    settings
        Thresholds.
    """
    names, usual = Names(settings), settings.mood_threshold
    return {
        name: names.threshold(target.mood, usual)
        for name, target in targets.items()
        if target.mood
    }


def _tags(means: Means, targets: Mapping[str, Target]) -> dict[str, float]:
    """Pool the auto-taggers' tags under their readable names."""
    pooled: dict[str, float] = {}
    for name, target in targets.items():
        if target.kind == TAGS:
            for tag, mean in means.get(name, {}).items():
                readable = target.classes[tag]
                pooled[readable] = max(mean, pooled.get(readable, 0.0))
    return pooled


def _genres(
    means: Means, targets: Mapping[str, Target], names: Names
) -> list[str]:
    """Return the genres of the first source that can name one."""
    for source in names.settings.genre_sources:
        if source == TAGS_FIELD:
            strengths, usual = genre_strengths(means), 1.0
        elif source in means:
            target = targets[source]
            several = target.kind in (LIST, STYLES)
            strengths = _of_classes(target, means[source])
            if not several:
                strengths = _top(strengths)
            usual = LIST_THRESHOLD if several else 0.0
        else:
            continue
        found = _holding(
            {n: s for n, s in strengths.items() if names.is_genre(n)},
            usual,
            names,
        )
        if found:
            return found
    return []


def _of_classes(target: Target, means: Mapping[str, float]) -> dict[str, float]:
    """Return genre to strength: of a genre's styles, the strongest counts."""
    genres: dict[str, float] = {}
    for name, mean in means.items():
        genre = target.classes[name].split(SPLIT)[0]
        genre = genre if SPLIT in target.classes[name] else genre.title()
        genres[genre] = max(mean, genres.get(genre, 0.0))
    return genres


def _top(strengths: Mapping[str, float]) -> dict[str, float]:
    """Keep the strongest of classes of which one is right, and its share."""
    top = max(strengths, key=lambda each: strengths[each])
    part = share(strengths, top)
    return {} if part is None else {top: part}


def _holding(
    strengths: Mapping[str, float], usual: float, names: Names
) -> list[str]:
    """Return the genres that hold, or the likeliest one."""

    def above(usual: float) -> list[str]:
        return [n for n in ordered if names.holds(n, strengths[n], usual)]

    ordered = strongest(strengths)
    holding = above(usual) or above(0.0)[:1]
    return names.list(holding, names.settings.max_genres)


def strongest(values: Mapping[str, float]) -> list[str]:
    """Return names by their values, the strongest first."""
    return sorted(
        values, key=lambda name: (-round(values[name], DECIMALS), name)
    )
