"""The words that the user has taught, and how configurations name them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from beets import config as beets_config

from soundtags.models import installed
from soundtags.models.catalogue import MOOD_FIELD

if TYPE_CHECKING:
    from collections.abc import Collection

    from soundtags.models.catalogue import Target
    from soundtags.models.taught_words import TaughtWord

FOLDER = "soundtags-words"


def words_dir() -> Path:
    """Return the folder of the words, in the configuration folder."""
    return Path(beets_config.config_dir()) / FOLDER


def all_targets(model_dir: Path) -> dict[str, Target]:
    """Return all targets by name: those of models, and those of words."""
    taught = {each.target.name: each.target for each in taught_words()}
    return {**installed.targets(model_dir), **taught}


def taught_words() -> tuple[TaughtWord, ...]:
    """Return all words."""
    if not words_dir().is_dir():
        return ()
    # Loaded only where there are words, as this runs at every start.
    from soundtags.models.taught_words import read_words

    return read_words(words_dir())


def is_untaught(name: str, types: Collection[str]) -> bool:
    """Return whether a field is that of a word that is not taught.

    The word may have been forgotten: no reason to refuse a configuration.
    """
    return name.startswith(MOOD_FIELD) and name not in types


def why_unwritten(name: str, types: Collection[str]) -> str | None:
    """Return why a word's field is not written to files, if it is not."""
    if is_untaught(name, types):
        word = name.removeprefix(MOOD_FIELD)
        return (
            f"the word for {name} has not been taught; to teach it: beet"
            f" soundteach {word} QUERY"
        )
    if name in types and not name.isascii():
        return (
            f"{name} is not written to files: tag names can contain only ASCII"
            " characters"
        )
    return None
