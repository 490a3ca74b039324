"""The options that affect results, with their defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

GENRE_SOURCES = [
    "genre_discogs400",
    "mtg_jamendo_genre",
    "soundtags",
    "genre_rosamerica",
    "genre_tzanetakis",
    "genre_dortmund",
    "genre_electronic",
]
NEVER_GENRES = ["dance", "speech", "non-music", "60s", "70s", "80s", "90s"]


# A named tuple, like others that are needed at start-up: a data class takes a
# millisecond more.
class Settings(NamedTuple):
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
    thresholds: Mapping[str, float] = {}
    genre_sources: list[str] = GENRE_SOURCES
    never_genres: list[str] = NEVER_GENRES
    labels: Mapping[str, str | None] = {}
    max_moods: int = 5
    max_genres: int = 3
    max_tags: int = 5
