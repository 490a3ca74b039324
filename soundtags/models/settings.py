"""The options that affect results, with their defaults."""

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
    """Options of the configuration that affect results.

    Attributes
    ----------
    patches : int or None
        Maximum number of patches per track; None for all.
    resampler : str
        A key of :data:`resampling.RESAMPLERS`.
    mood_threshold : float
        Score at which a mood passes the threshold, 0 to 1.
    thresholds : dict of str to float
        Mood or genre to the score or strength at which it passes the
        threshold, where that is not the default.
    genre_sources : list of str
        Targets that can name genres (``soundtags`` for the estimates), best
        first.
    never_genres : list of str
        Classes that are never used as genres.
    labels : dict of str to str or None
        Name to the label to use instead; None to drop it.
    max_moods, max_genres, max_tags : int
        Maximum lengths of the lists.
    """

    patches: int | None = 16
    resampler: str = "sinc"
    mood_threshold: float = 0.5
    thresholds: dict[str, float] = field(default_factory=dict)
    genre_sources: list[str] = field(default_factory=_genre_sources)
    never_genres: list[str] = field(default_factory=_never_genres)
    labels: dict[str, str | None] = field(default_factory=dict)
    max_moods: int = 5
    max_genres: int = 3
    max_tags: int = 5
