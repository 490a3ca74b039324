"""Which distributions of this package are installed, from their metadata."""

from __future__ import annotations

from functools import cache
from importlib import metadata

PACKAGE = "beets-soundtags"
LITE = f"{PACKAGE}-lite"  # the same files, with fewer dependencies


@cache  # looking it up takes milliseconds
def _versions() -> dict[str, str]:
    """Return the versions of the distributions that are installed."""
    found = {}
    for name in (PACKAGE, LITE):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def package_version() -> str:
    """Return the installed version of this package, or ``"unknown"``."""
    return next(iter(_versions().values()), "unknown")


def is_lite() -> bool:
    """Return whether this is the distribution with fewer dependencies."""
    return [*_versions()] == [LITE]


def with_extra(extra: str) -> str:
    """Return what pip has to install for an extra of this distribution.

    The quotes are for shells in which brackets are a pattern.
    """
    return f'"{LITE if is_lite() else PACKAGE}[{extra}]"'


def installed_twice() -> str:
    """Return what to do if both distributions are installed.

    They have the same files, so the one that was installed last has replaced
    those of the other.

    Returns
    -------
    str
        One line; empty if all is well.
    """
    if len(_versions()) < 2:
        return ""
    return (
        f"{PACKAGE} and {LITE} are both installed, and have the same files;"
        f" keep one: pip uninstall {LITE}, then pip install --force-reinstall"
        f" --no-deps {PACKAGE}"
    )
