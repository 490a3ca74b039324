"""Provenance: which values of a track are ours, and which its owner's.

For each field that we have written, the field ``soundtags_written`` holds a
digest of the value. A value with another digest was set by somebody else.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DIGEST_SIZE = 3  # bytes: enough to notice a change
OTHERS = "-"  # instead of a digest: the value is its owner's


def remember(values: Mapping[str, Any]) -> str:
    """Return what to store about the values that were set.

    Parameters
    ----------
    values
        Field to value; `OTHERS` where the owner's value was left.
    """
    ours = {name: value for name, value in values.items() if value != OTHERS}
    written = " ".join(f"{name}={_digest(ours[name])}" for name in ours)
    return leave(written, values.keys() - ours)


def is_ours(written: str, name: str, value: Any) -> bool:
    """Return whether a value is ours, or there is none.

    Parameters
    ----------
    written
        What :func:`remember` returned when we set the value.
    name
        The field. A field that we never set counts as ours.
    value
        Its current value.
    """
    digests = _digests(written)
    return _digest(value) in (digests.get(name, _digest(value)), _digest(None))


def leave(written: str, names: Iterable[str]) -> str:
    """Return what to store when more fields are left to their owner."""
    digests = _digests(written) | dict.fromkeys(names, OTHERS)
    return " ".join(f"{name}={digests[name]}" for name in sorted(digests))


@lru_cache(maxsize=1)  # called for one field after the other
def _digests(written: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in written.split())
    return {name: digest for name, _, digest in pairs}


def _digest(value: Any) -> str:
    plain = f"{value:.4f}" if isinstance(value, float) else value or None
    encoded = repr(plain).encode(errors="surrogateescape")
    return hashlib.blake2b(encoded, digest_size=DIGEST_SIZE).hexdigest()
