"""Reads the values of options; errors say what is allowed instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confuse import ConfigValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from confuse import ConfigView, Filename


def path_of(view: ConfigView, kind: Filename) -> Path:
    """Return a path.

    Raises
    ------
    confuse.ConfigError
        If the value is not a path. All functions here that read an option
        raise it if the value is not allowed.
    """
    path = str(view.get(kind))
    if "\0" in path:  # which no file system has in names
        raise refused(view, path, "a path")
    return Path(path)


def entries(view: ConfigView) -> list[tuple[str, ConfigView]]:
    """Return the entries of a mapping, which may be empty."""
    if not isinstance(view.get(), dict):
        raise refused(view, view.get(), "a mapping")
    return [(str(name), view[name]) for name in view.keys()]  # noqa: SIM118


def choice(view: ConfigView, allowed: Collection[str]) -> str:
    """Return one of several words."""
    return str(checked(view, either(allowed), lambda value: value in allowed))


def either(allowed: Collection[str]) -> str:
    """Return how to say that one of several words is allowed."""
    return f"one of: {', '.join(allowed)}"


def hint(name: str, known: Collection[str]) -> str:
    """Return a question to end a message about a word, if one is similar."""
    from difflib import get_close_matches

    similar = get_close_matches(name, known, 1, cutoff=0.7)
    return f"; did you mean {similar[0]!r}?" if similar else ""


def count(view: ConfigView) -> int:
    """Return a whole number that is not negative."""
    return int(checked(view, "a whole number of at least 0", is_count))


def count_or(
    view: ConfigView, word: str, least: int, most: int | None = None
) -> int | None:
    """Return a whole number, or None if the value is the given word."""
    if view.get() == word:
        return None
    until = "" if most is None else f" and at most {most}"
    allowed = f"'{word}' or a whole number of at least {least}{until}"

    def accepts(value: Any) -> bool:
        return (
            is_count(value)
            and value >= least
            and (most is None or value <= most)
        )

    return int(checked(view, allowed, accepts))


def checked(
    view: ConfigView, allowed: str, accepts: Callable[[Any], bool]
) -> Any:
    """Return a value that is accepted."""
    value = view.get()
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)  # given on the command line
    try:
        if accepts(value):
            return value
    except TypeError:
        pass  # a list or a mapping instead of a plain value
    raise refused(view, value, allowed)


def refused(view: ConfigView, value: Any, allowed: str) -> ConfigValueError:
    """Return the error for a value, with what is allowed instead."""
    return ConfigValueError(f"{view.name}: {value!r} is not {allowed}")


def is_bool(value: Any) -> bool:
    """Return whether a value is yes or no."""
    return isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number that is not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_amount(value: Any) -> bool:
    """Return whether a value is a number that is not negative."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and value >= 0


def is_share(value: Any) -> bool:
    """Return whether a value is a number from 0 to 1."""
    return is_amount(value) and value <= 1


def is_label(value: Any) -> bool:
    """Return whether a value is a text, or nothing."""
    return value is None or isinstance(value, str)


def is_names(value: Any) -> bool:
    """Return whether a value is a list of texts, at least one."""
    is_list = isinstance(value, list) and len(value) > 0
    return is_list and all(isinstance(name, str) for name in value)
