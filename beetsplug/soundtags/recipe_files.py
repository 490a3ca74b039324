"""The recipes of playlists: ready-made ones, and the user's own."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beets import config as beets_config
from confuse import ConfigReadError, load_yaml

from soundtags import collection
from soundtags.collection.recipes import expand, parse_recipe
from soundtags.errors import UnusableRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soundtags.collection.recipes import Recipe

OWN = "soundtags-lists"  # in the configuration folder
ENDINGS = (".yaml", ".yml")


def ready_made_folder() -> Path:
    """Return the folder of the ready-made recipes."""
    return Path(str(files(collection).joinpath("ready_made")))


def own_folder() -> Path:
    """Return the folder for the user's own recipes."""
    return Path(beets_config.config_dir()) / OWN


def read_recipes(
    values: Mapping[str, Sequence[str]], warn: Callable[[str], object]
) -> list[Recipe]:
    """Read all recipes.

    Parameters
    ----------
    values
        Kind, such as ``genre``, to the values for each of which a recipe can
        make a playlist.
    warn
        Gets a message for each file that cannot be used, which is left out.

    Returns
    -------
    list
        The recipes by name. A file of the user's replaces the ready-made one
        of the same name, or, if it is empty, removes it.
    """
    found: dict[str, Recipe] = {}
    for path in _paths():
        source = str(path) if path.parent == own_folder() else ""
        if path.exists() and not path.is_file():
            warn(f"{path}: not a regular file")
            continue
        try:
            data = load_yaml(str(path))
            if data is None:
                continue
            for name, each in expand(path.stem, data, values):
                found[name] = parse_recipe(name, each, source)
        except UnusableRecipe as exc:
            warn(f"{path}: {exc}")
        except (ConfigReadError, ValueError) as exc:
            warn(f"{path}: {_reason(exc)}")
    return [found[name] for name in sorted(found)]


def _paths() -> list[Path]:
    """Return a file per name."""
    found = {}
    for folder in (ready_made_folder(), own_folder()):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.suffix in ENDINGS:
                    found[path.stem.lower()] = path
    return list(found.values())


def _reason(error: Exception) -> str:
    """Return what is wrong with a file, in one line."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, OSError):
        return str(cause.strerror)
    mark = getattr(cause, "problem_mark", None)
    place = f" in line {mark.line + 1}" if mark else ""
    problem = getattr(cause, "problem", None) or str(cause).splitlines()[0]
    return f"not valid YAML{place}: {problem}"


def common(values: Sequence[Any], least: int, most: int) -> list[str]:
    """Return the commonest words of a field, each in its usual spelling.

    Parameters
    ----------
    values
        For each track, a word, a list of words, or None.
    least
        How many tracks must have the word.
    most
        How many words to return.
    """
    spellings: dict[str, Counter[str]] = {}
    for value in values:
        for word in value if isinstance(value, list) else [value]:
            if word:
                spellings.setdefault(word.lower(), Counter())[word] += 1
    counts = Counter({word: n.total() for word, n in spellings.items()})
    return [
        spellings[word].most_common(1)[0][0]
        for word, tracks in counts.most_common(most)
        if tracks >= least
    ]
