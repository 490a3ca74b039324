"""The file of what trials have shown, in parts with versions of their own."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from soundtags.atomic import writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    # What was tried to what is wrong with it; None for nothing.
    Reasons = dict[str, str | None]

# What reading something else than what was kept leads to.
MALFORMED = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def load_reasons(path: Path, part: str, versions: Sequence[str]) -> Reasons:
    """Return what was found with these versions.

    Parameters
    ----------
    path : pathlib.Path
        The file. Where it cannot be read, nothing was found.
    part : str
        What was tried.
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
