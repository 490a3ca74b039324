"""The command `beet soundlists`."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from beets import ui
from beets.dbcore import InvalidQueryError
from beets.exceptions import UserError

from beetsplug.soundtags.columns import columns, numbered
from beetsplug.soundtags.commands.playlist_music import read_music
from beetsplug.soundtags.commands.showing import say
from beetsplug.soundtags.commands.showing import tracks as in_words
from beetsplug.soundtags.database import matching_ids
from beetsplug.soundtags.player_paths import PlayerPaths
from beetsplug.soundtags.recipe_files import (
    common,
    own_folder,
    read_recipes,
    ready_made_folder,
)
from beetsplug.soundtags.taught import taught_words
from soundtags.atomic import writing
from soundtags.collection.playlist_formats import (
    MADE_BY,
    Entry,
    custom_tags,
    m3u,
    navidrome,
    navidrome_configuration,
    smartplaylist,
)
from soundtags.collection.playlists import FEWEST, Tracks, choose
from soundtags.labelling.estimates import GENRES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from optparse import Values

    from beets.library import Library
    from confuse import ConfigView

    from beetsplug.soundtags.commands.playlist_music import Music
    from soundtags.collection.playlists import Playlist
    from soundtags.collection.recipes import Recipe

    Warn = Callable[[str], object]

LEAST, MOST = 5, 12  # fewest tracks of a genre, and most genres
BEGINNING = 1000  # bytes of a file in which MADE_BY is looked for
NAME = 24  # columns


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If there is nothing to choose from, or no playlist can be written.
    """
    folder = opts.output and os.path.abspath(os.path.expanduser(opts.output))
    warn = partial(log.warning, "{}")
    paths = PlayerPaths(os.fsdecode(lib.directory), folder, opts.prefix)
    music, playlists = make_playlists(lib, query, paths, warn)
    if not playlists:
        say(f"no playlist: each needs at least {FEWEST} tracks that fit")
        return
    if opts.format == "smartplaylist" and not opts.list:
        ui.print_(smartplaylist(paths.options, playlists))
        return
    _show(music, playlists)
    if opts.list or not folder:
        ui.print_()
        say("to write them: beet soundlists -o DIR")
        say(f"ready-made recipes: {ready_made_folder()}")
        say(f"your own: {own_folder()}")
        return
    if opts.format == "nsp":
        playlists = [each for each in playlists if _is_portable(each, warn)]
        _write(Path(folder), opts.format, navidrome, playlists, warn)
        _show_navidrome(config, playlists)
    else:
        _write(Path(folder), opts.format, partial(_m3u, music), playlists, warn)


def make_playlists(
    lib: Library, query: Sequence[str], paths: PlayerPaths, warn: Warn
) -> tuple[Music, list[Playlist]]:
    """Make all playlists for which there are enough tracks.

    Raises
    ------
    beets.exceptions.UserError
        If no matching track has been analysed.
    """
    music = read_music(lib, query, paths, warn)
    recipes = read_recipes(_values(music), warn)
    return music, _choose(lib, music, recipes, warn)


def _values(music: Music) -> dict[str, Sequence[str]]:
    """Return the values for which recipes can make a playlist each."""
    return {
        "genre": common(music.columns[GENRES], LEAST, MOST),
        "word": [each.word for each in taught_words()],
    }


def _choose(
    lib: Library, music: Music, recipes: Sequence[Recipe], warn: Warn
) -> list[Playlist]:
    """Make the playlists for which there are enough tracks."""
    used = {name for recipe in recipes for name in recipe.fields}
    read = columns(lib, music.ids, used)
    tracks = Tracks(
        np.array(music.ids, int),
        numbered(music.columns["artist"]),
        numbered(music.columns["album_id"]),
        read,
    )
    found = []
    for recipe in recipes:
        unknown = [name for name in recipe.fields if not any(read[name])]
        if unknown and recipe.source:
            names = ", ".join(sorted(unknown))
            warn(f"{recipe.source}: no track has the field {names}")
        try:
            allowed = _allowed(lib, recipe, tracks.ids)
        except (ValueError, InvalidQueryError) as exc:
            warn(f"{recipe.source}: query: {exc}")
            continue
        found.append(choose(recipe, tracks, allowed))
    return [each for each in found if len(each.places)]


def _allowed(
    lib: Library, recipe: Recipe, ids: np.ndarray
) -> np.ndarray | None:
    """Return which tracks match the query of a recipe; None without one."""
    if not recipe.query:
        return None
    return np.isin(ids, matching_ids(lib, shlex.split(recipe.query)))


def _show(music: Music, playlists: Sequence[Playlist]) -> None:
    say(f"{in_words(music.matching)}, {music.missing} of them not analysed")
    ui.print_()
    for each in playlists:
        first = music.name(each.places[0])
        say(
            f"{each.recipe.name:<{NAME}} {len(each.places):>5}"
            f"  fit {each.fits.max():.2f} to {each.fits.min():.2f}  {first}"
        )


def _is_portable(playlist: Playlist, warn: Warn) -> bool:
    """Return whether another program can evaluate its rules."""
    if playlist.recipe.query:
        name = playlist.recipe.name
        warn(f"{name}: left out, as only beets understands its query")
    return not playlist.recipe.query


def _m3u(music: Music, playlist: Playlist) -> str:
    lengths = music.columns["length"]
    return m3u(
        playlist.recipe.title,
        [
            Entry(music.paths[place], music.name(place), lengths[place] or 0)
            for place in playlist.places
        ],
    )


def _show_navidrome(config: ConfigView, playlists: Sequence[Playlist]) -> None:
    """Print the settings that Navidrome needs for rules about scores."""
    tags = custom_tags(playlists)
    ui.print_("\nAdd this to navidrome.toml, then run a full scan:\n")
    ui.print_(navidrome_configuration(tags))
    written = config["file_tags"].as_str_seq()
    missing = [name for name in tags if name not in written]
    if missing:
        names = ", ".join([*written, *missing])
        ui.print_(
            "\nNavidrome reads these tags from your files, which lack some of"
            " them. Set this\nin the configuration of beets, then run: beet"
            " write --force\n"
        )
        ui.print_(f"soundtags:\n    file_tags: [{names}]")


def _write(
    folder: Path,
    ending: str,
    content: Callable[[Playlist], str],
    playlists: Sequence[Playlist],
    warn: Warn,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done: set[Path] = set()
    for each in playlists:
        path = folder / f"{each.recipe.name}.{ending}"
        try:
            if not _is_ours(path):
                warn(f"{path}: left alone; beet soundlists did not make it")
                continue
            with writing(path) as file:
                file.write(content(each).encode("utf-8"))
        except OSError as exc:
            warn(f"{path}: {exc.strerror}")
            continue
        done.add(path)
    if not done:
        raise UserError(f"no playlist has been written to {folder}")
    ui.print_()
    say(f"{len(done)} playlist{'s' * (len(done) != 1)}: {folder}")
    for path in sorted({*folder.glob(f"*.{ending}")} - done):
        with suppress(OSError):
            if path.is_file() and _is_ours(path):
                warn(f"{path}: made before, but not this time; delete it")


def _is_ours(path: Path) -> bool:
    """Return whether a file may be written: a new one, or one we have made."""
    if not path.is_file():
        return not os.path.lexists(path)
    with path.open("rb") as file:
        return MADE_BY.encode() in file.read(BEGINNING)
