"""From track scores to labels: the values of library fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundtags.labelling.estimates import (
    GENRES,
    genre_strengths,
    specific_first,
)
from soundtags.labelling.scores import DECIMALS, share, strongest
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

# Threshold of mean activations, for classes that do not exclude each other.
LIST_THRESHOLD = 0.1
# Threshold of estimated genres, and the least strength that one needs if none
# passes: it is still right more often than not.
STRENGTH_THRESHOLD, LEAST_STRENGTH = 0.5, 0.35
# Further genres need at least this share of the odds of the first.
LEAST_ODDS = 0.2
SPEECH, SPEECH_THRESHOLD = "speech", 0.5
VOICE = "voice_instrumental"


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
        The same, for targets that no model covers.
    targets
        All targets by name.
    settings
        Thresholds, names and lengths of lists.

    Returns
    -------
    dict
        Field to value: a list of names, a number, a name, or None where
        there is none. Targets without means or estimates get no fields.
    """
    known = {**estimates, **means}
    words = Vocabulary(settings)
    if SPEECH in known:
        known[SPEECH] = _speech(known)
    fields: dict[str, Any] = {}
    for name, target in targets.items():
        if name in known and target.kind in FIELDS_OF:
            fields.update(FIELDS_OF[target.kind](target, known[name], words))
    if _is_instrumental(known):
        fields.update(gender=None, gender_score=None)
    moods = _moods(fields, targets, words)
    if moods is not None:
        fields["mood"] = moods
    tags = _tags(means, targets)
    if tags:
        fields[TAGS_FIELD] = words.list(strongest(tags), settings.max_tags)
    genres = _genres(means, targets, words)
    if genres is not None:
        fields[GENRES] = genres
    speech = fields.get(SPEECH) or 0.0
    is_speech = words.passes(SPEECH, speech, SPEECH_THRESHOLD)
    return _of_speech(fields, targets, words) if is_speech else fields


class Vocabulary:
    """The user's words for labels, and their thresholds."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._labels = {k.lower(): v for k, v in settings.labels.items()}
        self._thresholds = {
            k.lower(): v for k, v in settings.thresholds.items()
        }
        self._never = {name.lower() for name in settings.never_genres}

    def of(self, name: str) -> str | None:
        """Return the user's word for a name; None to drop the name."""
        return self._labels.get(name.lower(), name)

    def list(self, names: Iterable[str], limit: int) -> list[str]:
        """Return the user's words for some names, each once."""
        labels = dict.fromkeys(map(self.of, names))
        return [label for label in labels if label][:limit]

    def passes(self, name: str, strength: float, usual: float) -> bool:
        """Return whether a strength passes the threshold of a name."""
        return strength >= self.threshold(name, usual)

    def threshold(self, name: str, usual: float) -> float:
        """Return the threshold of a name."""
        return self._thresholds.get(name.lower(), usual)

    def is_genre(self, name: str) -> bool:
        """Return whether a class can be a genre."""
        return name.lower() not in self._never


def _score_field(
    target: Target, means: Mapping[str, float], _words: Vocabulary
) -> dict[str, Any]:
    return {target.name: share(means, str(target.positive))}


def _text_fields(
    target: Target, means: Mapping[str, float], words: Vocabulary
) -> dict[str, Any]:
    top = max(means, key=lambda each: means[each])
    score = share(means, top)
    return {
        target.name: None if score is None else words.of(target.classes[top]),
        f"{target.name}_score": score,
    }


def _list_field(
    target: Target, means: Mapping[str, float], words: Vocabulary
) -> dict[str, Any]:
    ordered = [target.classes[name] for name in strongest(means)]
    return {target.name: words.list(ordered, words.settings.max_tags)}


def _style_fields(
    target: Target, means: Mapping[str, float], words: Vocabulary
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
        name: _passing(strengths, LIST_THRESHOLD, words)
        for name, strengths in fields.items()
    }


def _number_fields(
    target: Target, means: Mapping[str, float], _words: Vocabulary
) -> dict[str, Any]:
    numbers = {target.classes[name]: mean for name, mean in means.items()}
    if target.scale:
        low, high = target.scale
        numbers = {
            field: min(max((number - low) / (high - low), 0.0), 1.0)
            for field, number in numbers.items()
        }
    return {field: round(number, DECIMALS) for field, number in numbers.items()}


FIELDS_OF: dict[
    str, Callable[[Target, Mapping[str, float], Vocabulary], dict[str, Any]]
] = {
    SCORE: _score_field,
    TEXT: _text_fields,
    LIST: _list_field,
    STYLES: _style_fields,
    NUMBERS: _number_fields,
}


def _speech(means: Means) -> dict[str, float]:
    """Return the means of speech, with no more speech than voice."""
    speech = share(means[SPEECH], "speech") or 0.0
    voice = share(means[VOICE], "voice") if VOICE in means else None
    found = speech if voice is None else min(speech, voice)
    return {"speech": found, "music": 1 - found}


def _of_speech(
    fields: Mapping[str, Any], targets: Mapping[str, Target], words: Vocabulary
) -> dict[str, Any]:
    """Return a track's fields if it is speech: that is its only tag then."""
    about_music = {
        field
        for name, target in targets.items()
        if target.mood or target.scale or name == "danceability"
        for field in target.fields
    }
    cleared = dict.fromkeys(fields.keys() & about_music)
    lists = {"mood": [], GENRES: [], TAGS_FIELD: words.list([SPEECH], 1)}
    return {**fields, **cleared, **lists}


def _is_instrumental(means: Means) -> bool:
    voice = means.get(VOICE)
    return voice is not None and voice["voice"] <= voice["instrumental"]


def _moods(
    fields: Mapping[str, Any], targets: Mapping[str, Target], words: Vocabulary
) -> list[str] | None:
    """Return the moods that pass; None if no field is the score of a mood."""
    scores = {
        target.mood: fields[name]
        for name, target in targets.items()
        if target.mood and name in fields
    }
    if not scores:
        return None
    usual = words.settings.mood_threshold
    passing = {
        mood: score
        for mood, score in scores.items()
        if score is not None and words.passes(mood, score, usual)
    }
    taught = {target.mood for target in targets.values() if target.taught}
    most = words.settings.max_moods
    ordered = strongest(passing)
    # The words that the user has taught are the last to be left out.
    kept = sorted(ordered, key=lambda mood: mood not in taught)[:most]
    return words.list([mood for mood in ordered if mood in kept], most)


def mood_thresholds(
    targets: Mapping[str, Target], settings: Settings
) -> dict[str, float]:
    """Return the thresholds of the fields that moods depend on.

    Parameters
    ----------
    targets
        All targets by name.
    settings
        Thresholds.
    """
    words, usual = Vocabulary(settings), settings.mood_threshold
    return {
        name: words.threshold(target.mood, usual)
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
    means: Means, targets: Mapping[str, Target], words: Vocabulary
) -> list[str] | None:
    """Return the genres of the first source that can name one.

    None if there is no source.
    """
    found = None
    for source in words.settings.genre_sources:
        if source == TAGS_FIELD and (strengths := genre_strengths(means)):
            found = _estimated(strengths, words)
        elif source in means:
            found = _classified(targets[source], means[source], words)
        if found:
            break
    return found


def _classified(
    target: Target, means: Mapping[str, float], words: Vocabulary
) -> list[str]:
    """Return the genres that a classifier names."""
    strengths, usual = _of_classes(target, means), LIST_THRESHOLD
    if target.kind not in (LIST, STYLES):
        strengths, usual = _top(strengths), 0.0
    return _passing(_only_genres(strengths, words), usual, words)


def _estimated(strengths: Mapping[str, float], words: Vocabulary) -> list[str]:
    """Return the estimated genres that are right more often than not."""
    strengths = _only_genres(strengths, words)
    if not strengths or max(strengths.values()) < LEAST_STRENGTH:
        return []
    odds = {name: each / (1 - each) for name, each in strengths.items()}
    least = LEAST_ODDS * max(odds.values())
    near = {n: strengths[n] for n, each in odds.items() if each >= least}
    return _passing(near, STRENGTH_THRESHOLD, words, specific_first)


def _only_genres(
    strengths: Mapping[str, float], words: Vocabulary
) -> dict[str, float]:
    return {n: s for n, s in strengths.items() if words.is_genre(n)}


def _of_classes(target: Target, means: Mapping[str, float]) -> dict[str, float]:
    """Return the strengths of genres, each that of its strongest style."""
    genres: dict[str, float] = {}
    for name, mean in means.items():
        genre = target.classes[name].split(SPLIT)[0]
        genre = genre if SPLIT in target.classes[name] else genre.title()
        genres[genre] = max(mean, genres.get(genre, 0.0))
    return genres


def _top(strengths: Mapping[str, float]) -> dict[str, float]:
    """Return the strongest of mutually exclusive classes, and its share."""
    top = max(strengths, key=lambda each: strengths[each])
    part = share(strengths, top)
    return {} if part is None else {top: part}


def _passing(
    strengths: Mapping[str, float],
    usual: float,
    words: Vocabulary,
    order: Callable[[Mapping[str, float]], list[str]] = strongest,
) -> list[str]:
    """Return the genres that pass, or else the likeliest one."""

    def above(usual: float) -> dict[str, float]:
        return {n: s for n, s in strengths.items() if words.passes(n, s, usual)}

    passing = order(above(usual)) or strongest(above(0.0))[:1]
    return words.list(passing, words.settings.max_genres)
