"""The file with the results of trials, in parts with their own versions."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from soundtags.atomic import writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    # What was tried to what is wrong with it; None if nothing is.
    Reasons = dict[str, str | None]

# What is raised if the file contains something other than what was kept.
MALFORMED = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def load_reasons(path: Path, part: str, versions: Sequence[str]) -> Reasons:
    """Return what was found with these versions.

    Parameters
    ----------
    path : pathlib.Path
        The file. If it cannot be read, the result is empty.
    part : str
        The part of the file, named for what was tried.
    versions : sequence of str
        The versions that the outcome depends on.
    """
    try:
        content = _read(path)[part]
        if content["versions"] != versions:
            return {}
        return {
            key: reason
            for key, reason in content["reasons"].items()
            if reason is None or isinstance(reason, str)
        }
    except (OSError, *MALFORMED):
        return {}


def save_reasons(
    path: Path,
    part: str,
    versions: Sequence[str],
    reasons: Mapping[str, str | None],
) -> None:
    """Keep what was found, if the file can be written; other parts stay."""
    content = {}
    with suppress(OSError, *MALFORMED):
        content = dict(_read(path))
    content[part] = {"versions": versions, "reasons": reasons}
    with suppress(OSError), writing(path) as file:
        file.write(json.dumps(content, indent=1).encode())


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())
