"""The options that results depend on, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field


def _genre_sources() -> list[str]:
    return [
        "genre_discogs400",
        "mtg_jamendo_genre",
        "soundtags",
        "genre_rosamerica",
        "genre_tzanetakis",
        "genre_dortmund",
        "genre_electronic",
    ]


def _never_genres() -> list[str]:
    catch_alls = ["dance", "speech", "non-music"]
    return [*catch_alls, "60s", "70s", "80s", "90s"]


@dataclass(frozen=True)
class Settings:
    """Options of the configuration that results depend on.

    Attributes
    ----------
    patches
        At most so many patches per track; None for all.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    mood_threshold
        Score from which a mood holds.
    thresholds
        Mood or genre to the strength from which it holds, where that is not
        the usual one.
    genre_sources
        Targets that can name genres (``soundtags`` for the rules), best
        first.
    never_genres
        Classes that are no genres.
    labels
        Name to what to call it instead; None for nothing.
    max_moods, max_genres, max_tags
        Lengths of the lists.
    """

    patches: int | None = 16
    resampler: str = "soxr"
    mood_threshold: float = 0.5
    thresholds: dict[str, float] = field(default_factory=dict)
    genre_sources: list[str] = field(default_factory=_genre_sources)
    never_genres: list[str] = field(default_factory=_never_genres)
    labels: dict[str, str | None] = field(default_factory=dict)
    max_moods: int = 5
    max_genres: int = 3
    max_tags: int = 5
