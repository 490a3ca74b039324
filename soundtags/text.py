"""Text from outside, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return a text with a question mark for each unprintable character.

    File names and what models say about themselves come from anywhere: an
    escape sequence in them could move the cursor, or retitle the window.

    Examples
    --------
    >>> printable("a\x1b[2J\nb")
    'a?[2J?b'
    """
    return "".join(each if each.isprintable() else "?" for each in text)


def cut(text: str, columns: int, ending: str = "...") -> str:
    """Return a text, shortened if it takes more columns than there are.

    Parameters
    ----------
    text
        Any text. It is made printable, see :func:`printable`.
    columns
        Room for it; some characters, such as Chinese ones, take two.
    ending
        What a shortened text ends with.
    """
    from rich.cells import cell_len, set_cell_size  # beets need not wait for it

    plain = printable(text)
    if cell_len(plain) <= columns:
        return plain
    kept = set_cell_size(plain, columns - cell_len(ending))
    return kept.rstrip() + ending
