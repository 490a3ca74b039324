"""What we said of a track, to tell it from what its owner says."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIZE = 3  # bytes of a digest: enough to tell a change
OTHERS = "-"  # instead of a digest: it is not ours


def remember(values: Mapping[str, Any]) -> str:
    """Return what to keep of the values that were given to some fields.

    Parameters
    ----------
    values
        Field to value; `OTHERS` for those that were left to their owner.
    """
    ours = {name: value for name, value in values.items() if value != OTHERS}
    kept = " ".join(f"{name}={_digest(ours[name])}" for name in ours)
    return leave(kept, values.keys() - ours)


def is_ours(kept: str, name: str, value: Any) -> bool:
    """Whether a field still has the value that we gave it, or none.

    Parameters
    ----------
    kept
        What :func:`remember` returned, when we gave it.
    name
        The field. One that we never gave a value is ours to give one.
    value
        What it has now.
    """
    given = _given(kept)
    return _digest(value) in (given.get(name, _digest(value)), _digest(None))


def leave(kept: str, names: Iterable[str]) -> str:
    """Return what to keep when some more fields are left to their owner."""
    given = _given(kept) | dict.fromkeys(names, OTHERS)
    return " ".join(f"{name}={given[name]}" for name in sorted(given))


@lru_cache(maxsize=1)  # it is asked of each field in turn
def _given(kept: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in kept.split())
    return {name: said for name, _, said in pairs}


def _digest(value: Any) -> str:
    plain = f"{value:.4f}" if isinstance(value, float) else value or None
    encoded = repr(plain).encode(errors="surrogateescape")
    return hashlib.blake2b(encoded, digest_size=SIZE).hexdigest()
