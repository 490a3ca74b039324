"""What the parts of the Python interface share."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from soundtags.errors import UnreadableAudio
from soundtags.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundtags.inference.sessions import SessionPool

    AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    TextPath = str | os.PathLike[str]

log = logging.getLogger("soundtags")

SESSION_MEMORY = 2 * 10**9  # bytes that open sessions may take


@cache
def sessions() -> SessionPool:
    """Return the pool of sessions that all calls share."""
    from soundtags.inference.engine_choice import EngineChoice
    from soundtags.inference.sessions import SessionPool

    return SessionPool(SESSION_MEMORY, EngineChoice(announce=log.info))


@contextmanager
def naming(path: AnyPath) -> Iterator[None]:
    """Add the path to the message of an UnreadableAudio error."""
    try:
        yield
    except UnreadableAudio as exc:
        raise UnreadableAudio(f"{os.fsdecode(path)}: {exc}") from exc


def warn(path: AnyPath, warning: str) -> None:
    """Log a warning about a file, unless the warning is empty."""
    if warning:
        log.warning("%s: %s", os.fsdecode(path), warning)


def model_folder(model_dir: TextPath | None) -> Path:
    """Return the folder with the user's models, or else the package's."""
    return Path(model_dir) if model_dir else catalogue.data_folder()
