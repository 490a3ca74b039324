"""The version of this package, from its metadata."""

from __future__ import annotations

from functools import cache
from importlib import metadata

PACKAGE = "beets-soundtags"


@cache  # looking it up takes milliseconds
def package_version() -> str:
    """Return the installed version of this package, or ``"unknown"``."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "unknown"
