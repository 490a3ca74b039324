"""What the commands print about a track."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from beets import ui
from beets.util import displayable_path

from beetsplug.soundtags.database import own_value
from beetsplug.soundtags.fields import HIDDEN
from soundtags.labelling.scores import strongest
from soundtags.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from beets.library import Item

    from soundtags.labelling.interpret import Interpretation

SEPARATOR = " - "  # in beets' own format
EXPLAINED = 5  # classes of each model


def say(line: str) -> None:
    """Print a line, without characters that could control a terminal."""
    ui.print_(printable(line))


def show_changes(item: Item) -> None:
    """Print an item, and what has changed since it was stored."""
    old = item.get_fresh_from_db()
    ui.print_(item_name(old))
    old, new = _without_album(old), _without_album(item)
    # If a field is removed, beets would show the value as if it were new.
    new.update(dict.fromkeys(old.keys() - new.keys()))
    names = {*new.keys()} - {*HIDDEN}
    ui.show_model_changes(new, old, names, print_obj=False)


def _without_album(item: Item) -> Item:
    """Return a copy without the values that it gets from its album."""
    own = item.copy()
    own.album_id = None
    return own


def explain(item: Item, analysis: Interpretation) -> None:
    """Print what each model predicts for an item, and each estimate."""
    say(f"{item_name(item)}:")
    for source, means in analysis.model_means.items():
        say(f"  {source}: {_listed(means)}")
    for target, strengths in analysis.estimates.items():
        say(f"  estimate of {target}: {_listed(strengths)}")


def _listed(means: Mapping[str, float]) -> str:
    names = strongest(means)
    return ", ".join(f"{name} {means[name]:.4f}" for name in names[:EXPLAINED])


def item_name(item: Item) -> str:
    """Return an item in the user's format, without its empty parts."""
    if item.artist and item.title:
        return SEPARATOR.join(filter(str.strip, str(item).split(SEPARATOR)))
    return brief_name(item)


def brief_name(item: Item) -> str:
    """Return the artist and title of an item, see :func:`joined_name`."""
    return joined_name(item.artist, item.title, item.path)


def joined_name(artist: str | None, title: str | None, path: bytes) -> str:
    """Return the artist of a track, and its title or else its file name."""
    title = telling_title(artist, title, path)
    return SEPARATOR.join(filter(None, (artist, title)))


def telling_title(artist: str | None, title: str | None, path: bytes) -> str:
    """Return the title of a track, or else the name of its file.

    A title alone, without an artist, often says little: "Intro", "Track 3".
    """
    return title if artist and title else Path(displayable_path(path)).name


def describe(item: Item) -> str:
    """Return an item and what was found, in one line."""
    found = [
        ", ".join(own_value(item, "genres") or []),
        ", ".join(own_value(item, "mood") or []),
        own_value(item, "voice_instrumental") or "",
    ]
    danceability = own_value(item, "danceability")
    if danceability is not None:
        found.append(f"danceability {danceability:.2f}")
    return f"{item_name(item)}: {' | '.join(part for part in found if part)}"


def tracks(count: int) -> str:
    """Return a number of tracks in words.

    Examples
    --------
    >>> tracks(1), tracks(2)
    ('1 track', '2 tracks')
    """
    return "1 track" if count == 1 else f"{count} tracks"
