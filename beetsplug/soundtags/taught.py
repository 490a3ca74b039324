"""The words that the user has taught, and what configurations say of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from beets import config as beets_config

from soundtags.models import installed
from soundtags.models.words import FIELD, read_words

if TYPE_CHECKING:
    from collections.abc import Collection

    from soundtags.models.catalogue import Target

FOLDER = "soundtags-words"


def words_dir() -> Path:
    """Return the folder with the words: in the configuration folder."""
    return Path(beets_config.config_dir()) / FOLDER


def all_targets(model_dir: Path) -> dict[str, Target]:
    """Return all targets by name: those of models, and those of words."""
    words = (word.target for word in read_words(words_dir()))
    taught = {target.name: target for target in words}
    return {**installed.targets(model_dir), **taught}


def is_untaught(name: str, types: Collection[str]) -> bool:
    """Return whether a field is that of a word that has not been taught.

    Or has been forgotten: that is no reason to refuse a configuration.
    """
    return name.startswith(FIELD) and name not in types
