"""Predictions made by the workers of a Dask cluster."""

from __future__ import annotations

import re

ADDRESS = re.compile(r"(tcp|tls|wss?|ucxx?)://.+|[\w.-]+:\d+")


def is_address(text: str) -> bool:
    """Return whether a text is a scheduler's address rather than a file.

    Parameters
    ----------
    text
        The value of the option ``cluster``.

    Examples
    --------
    >>> is_address("tcp://nas:8786"), is_address("nas:8786")
    (True, True)
    >>> is_address("/shared/scheduler.json")
    False
    """
    return ADDRESS.fullmatch(text) is not None
