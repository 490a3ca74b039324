"""Playlists as players read them: M3U8, and rules for smart playlists."""

from __future__ import annotations

import json
import math
import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from soundtags.collection.recipes import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from soundtags.collection.playlists import Playlist
    from soundtags.collection.recipes import Condition

MADE_BY = "made by beet soundlists"  # in every file, to recognise it by
# What surrounds a genre in beets' database, where "\\␀" separates genres.
GENRES, BEFORE, BEHIND = "genres", "(^|␀)", r"(\\|$)"
SMALLEST = 0.0001  # difference between scores
# Navidrome's names for fields that it reads anyway; others are custom tags.
NAVIDROME_FIELDS = {
    "album": "album",
    "albumartist": "albumartist",
    "artist": "artist",
    "bpm": "bpm",
    "genres": "genre",
    "length": "duration",
    "mood": "mood",
    "year": "year",
}
# How audio formats name a tag; `{}` is the name in capitals.
ALIASES = ("TXXX:{}", "{}", "----:com.apple.iTunes:{}")


class Entry(NamedTuple):
    """A track in a playlist.

    Attributes
    ----------
    path : str
        The path of its file, as the player needs it.
    name : str
        What players show until they have read the file.
    seconds : float
        How long it is.
    """

    path: str
    name: str
    seconds: float


def m3u(title: str, entries: Iterable[Entry]) -> str:
    """Return an extended M3U playlist, to be stored as UTF-8.

    A path must not contain a line break.
    """
    lines = ["#EXTM3U", f"#PLAYLIST:{_one_line(title)}", f"# {MADE_BY}"]
    for path, name, seconds in entries:
        lines += [f"#EXTINF:{round(seconds)},{_one_line(name)}", path]
    return "\n".join([*lines, ""])


def smart_query(playlist: Playlist) -> str:
    """Return a beets query that finds roughly the tracks of a playlist."""
    terms = [_term(*each) for each in playlist.conditions.items()]
    field, weight = _leading(playlist)
    if field:
        terms.append(f"{field}{'-' if weight > 0 else '+'}")
    quoted = " ".join(map(shlex.quote, terms))
    # A comma means "or", and binds less tightly than a space.
    given = playlist.recipe.query.split(" , ")
    return " , ".join(f"{each} {quoted}".strip() for each in given)


def _term(field: str, condition: Condition) -> str:
    if isinstance(condition, Range):
        return f"{field}:{condition}"
    if field == GENRES:  # "=" would find only tracks with no other genre
        return f"{field}::(?i){BEFORE}{re.escape(condition)}{BEHIND}"
    return f"{field}:={condition}"


def smartplaylist(
    options: Mapping[str, str], playlists: Iterable[Playlist]
) -> str:
    """Return the configuration of beets' smartplaylist plugin, as YAML.

    Parameters
    ----------
    options
        Options of the plugin, such as the folder of the playlists.
    playlists
        The playlists that it is to make.
    """
    lines = ["smartplaylist:"]
    lines += [f"    {name}: {_quoted(each)}" for name, each in options.items()]
    lines += ["    output: extm3u", "    playlists:"]
    for each in playlists:
        lines += [
            f"        - name: {_quoted(f'{each.recipe.name}.m3u')}",
            f"          query: {_quoted(smart_query(each))}",
        ]
    return "\n".join(lines)


def navidrome(playlist: Playlist) -> str:
    """Return a smart playlist for Navidrome, for an ``.nsp`` file.

    Its recipe must not have a query, as only beets understands queries.
    """
    rules: list[dict[str, Any]] = []
    for field, condition in playlist.conditions.items():
        rules += _navidrome_rules(NAVIDROME_FIELDS.get(field, field), condition)
    field, weight = _leading(playlist)
    most = playlist.recipe.tracks.high
    content = {
        "name": playlist.recipe.title,
        "comment": f"{playlist.recipe.title}, {MADE_BY}",
        "all": rules,
        "sort": NAVIDROME_FIELDS.get(field, field) or "random",
        "order": "desc" if weight > 0 else "asc",
        **({"limit": int(most)} if math.isfinite(most) else {}),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def custom_tags(playlists: Iterable[Playlist]) -> dict[str, bool]:
    """Return the fields that Navidrome reads only if it is told to.

    Returns
    -------
    dict
        Field to whether it is a number.
    """
    found: dict[str, bool] = {}
    for each in playlists:
        for field, condition in each.conditions.items():
            if field not in NAVIDROME_FIELDS:
                found[field] = isinstance(condition, Range)
    return dict(sorted(found.items()))


def navidrome_configuration(tags: Mapping[str, bool]) -> str:
    """Return what ``navidrome.toml`` must say about custom tags."""
    lines = []
    for field, is_number in tags.items():
        aliases = [each.format(field.upper()) for each in ALIASES]
        key = field if field.isascii() else _quoted(field)
        lines.append(
            f"Tags.{key}.Aliases = [{', '.join(map(_quoted, aliases))}]"
        )
        if is_number:
            lines.append(f'Tags.{key}.Type = "float"')
    return "\n".join(lines)


def _navidrome_rules(name: str, condition: Condition) -> list[dict[str, Any]]:
    """Return rules for Navidrome, which has "more than" but no "at least"."""
    if not isinstance(condition, Range):
        return [{"is": {name: condition}}]
    low, high = condition
    rules = []
    if not math.isinf(low):
        rules.append({"gt": {name: round(low - SMALLEST, 4)}})
    if not math.isinf(high):
        rules.append({"lt": {name: round(high + SMALLEST, 4)}})
    return rules


def _leading(playlist: Playlist) -> tuple[str, float]:
    """Return the score that counts most, and its weight; "" if none counts."""
    return max(
        playlist.recipe.by.items(),
        key=lambda each: abs(each[1]),
        default=("", 0),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
