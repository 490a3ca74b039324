"""Truncating text to a number of columns."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def cut(text: str, columns: int, ending: str = "...") -> str:
    """Return a text that takes no more columns than there are.

    Parameters
    ----------
    text
        Any text. What cannot be printed, such as what moves a cursor, becomes
        a question mark.
    columns
        Room for it; some characters, such as Chinese ones, take two.
    ending
        What the text ends with where some of it is missing.
    """
    plain = "".join(each if each.isprintable() else "?" for each in text)
    if cell_len(plain) <= columns:
        return plain
    kept = set_cell_size(plain, columns - cell_len(ending))
    return kept.rstrip() + ending
