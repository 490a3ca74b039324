"""The music that playlists are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from beets.exceptions import UserError
from beets.util import displayable_path

from beetsplug.soundtags import fields
from beetsplug.soundtags.columns import columns
from beetsplug.soundtags.commands.showing import joined_name
from beetsplug.soundtags.commands.showing import tracks as in_words
from beetsplug.soundtags.database import matching_ids
from soundtags.labelling.estimates import GENRES
from soundtags.labelling.labels import SPEECH, SPEECH_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from beets.library import Library

    from beetsplug.soundtags.player_paths import PlayerPaths

FACTS = ("path", "title", "artist", "album_id", "length", GENRES)
NAMES = ("artist", "title")
SONG = (*NAMES, "length")
ALIKE = 10  # seconds by which the lengths of versions of a song may differ


class Music(NamedTuple):
    """The tracks to choose from: music that has been analysed.

    Attributes
    ----------
    ids : list of int
        Ids of the tracks.
    paths : list of str
        Their paths, as a player needs them.
    columns : dict
        Field of `FACTS` to a value per track.
    matching : int
        How many tracks match the query, music or not.
    missing : int
        How many of them have not been analysed.
    """

    ids: list[int]
    paths: list[str]
    columns: dict[str, list[Any]]
    matching: int
    missing: int

    def name(self, place: int) -> str:
        """Return the name of a track, see :func:`joined_name`."""
        facts = (self.columns[each][place] for each in (*NAMES, "path"))
        return joined_name(*facts)


def read_music(
    lib: Library,
    query: Sequence[str],
    paths: PlayerPaths,
    warn: Callable[[str], object],
) -> Music:
    """Read the tracks to choose from.

    Parameters
    ----------
    lib
        The library.
    query
        The query that tracks must match.
    paths
        How to write paths for a player.
    warn
        Gets a message if there are tracks that no playlist can contain.

    Raises
    ------
    beets.exceptions.UserError
        If no track matches, or none of those has been analysed.
    """
    ids = matching_ids(lib, query)
    if query and not ids:
        raise UserError("no track matches")
    found = columns(lib, ids, [*FACTS, fields.PLAN, SPEECH])
    analysed = [row for row, plan in enumerate(found[fields.PLAN]) if plan]
    if not analysed:
        raise UserError(
            "no matching track has been analysed; run: beet soundtags"
        )
    # A song can be on several albums; once is enough.
    songs = {
        _song(row, *(found[name][row] for name in SONG)): row
        for row in reversed(analysed)
        if not _is_speech(found[SPEECH][row])
    }
    written = {row: paths.of(found["path"][row]) for row in songs.values()}
    unfit = [row for row, path in written.items() if path is None]
    if unfit:
        warn(
            f"{in_words(len(unfit))} left out, as a playlist cannot contain"
            f" their paths, such as {displayable_path(found['path'][unfit[0]])}"
        )
    kept = {row: path for row, path in written.items() if path is not None}
    return Music(
        [ids[row] for row in kept],
        list(kept.values()),
        {name: [found[name][row] for row in kept] for name in FACTS},
        len(ids),
        len(ids) - len(analysed),
    )


def _song(
    row: int, artist: str | None, title: str | None, seconds: float | None
) -> tuple[Any, ...]:
    """Return what is the same for all tracks with the same song."""
    if not title:
        return (row,)
    return (artist or "").lower(), title.lower(), round((seconds or 0) / ALIKE)


def _is_speech(stored: str | None) -> bool:
    score = fields.NUMBER.from_sql(stored)
    return score is not None and score >= SPEECH_THRESHOLD
