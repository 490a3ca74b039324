"""Genres that tracks have lost to their album.

When a file has changed, ``beet update`` gives the album the genres of its first
track, and all its tracks those of the album. The files keep their own.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING

from beets.util import syspath
from mediafile import MediaFile, UnreadableFileError

from beetsplug.soundtags.database import field_type, genres_beside
from beetsplug.soundtags.fields import WRITTEN
from beetsplug.soundtags.library_access import get_album, get_item, store_items
from beetsplug.soundtags.provenance import Provenance
from soundtags.labelling.estimates import GENRES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from beets.library import Item, Library

ENTRY = f"{GENRES}="  # in the field that says what we wrote


def restore_genres(
    lib: Library, ids: Sequence[int], pretend: bool = False
) -> int:
    """Give tracks the genres that we wrote and their files still have.

    Tracks whose genres have been changed in the library alone keep them: they
    are not those that ``beet update`` takes from the first track of the album.

    Parameters
    ----------
    lib
        The library.
    ids
        Ids of the tracks.
    pretend
        Whether only to count them.

    Returns
    -------
    int
        How many tracks had other genres in the library.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked.
    """
    count = 0
    first_genres = cache(partial(_first_genres, lib))
    for item in _suspects(lib, ids):
        provenance = Provenance.from_field(item)
        genres = _file_genres(item)
        if (
            provenance
            and provenance.wrote(GENRES, genres)
            and item.genres == first_genres(item.album_id)
        ):
            count += 1
            if not pretend:
                item.genres = genres
                store_items(item)
    return count


def _suspects(lib: Library, ids: Sequence[int]) -> Iterator[Item]:
    """Yield tracks of albums whose own genres are not those that we wrote."""
    for item_id, genres, written in genres_beside(lib, ids, WRITTEN, ENTRY):
        entry = next(
            (each for each in written.split() if each.startswith(ENTRY)), ""
        )
        if _differ(genres, entry) and (item := get_item(lib, item_id)):
            yield item


@cache  # a library has few genres, and we wrote few
def _differ(genres: str, entry: str) -> bool:
    """Return whether stored genres differ from those that we wrote."""
    provenance = Provenance.parse(entry)
    return GENRES in provenance.digests and not provenance.wrote(
        GENRES, field_type(GENRES).from_sql(genres)
    )


def _first_genres(lib: Library, album_id: int) -> list[str] | None:
    """Return the genres that ``beet update`` gives to an album's tracks.

    None if the file of the first track has others, so that they are not from
    there.
    """
    album = get_album(lib, album_id)
    first = None if album is None else album.items().get()
    if first is None or _file_genres(first) != first.genres:
        return None
    genres: list[str] = first.genres
    return genres


def _file_genres(item: Item) -> list[str]:
    with suppress(UnreadableFileError):
        return MediaFile(syspath(item.path)).genres or []
    return []
