"""Provenance: which values of a track are ours, and which its owner's.

For each field that we have written, the field ``soundtags_written`` has a
digest of the value. A value with another digest was set by somebody else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beetsplug.soundtags.database import own_value
from beetsplug.soundtags.fields import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from beets.dbcore import Model

DIGEST_SIZE = 3  # bytes: enough to notice a change
OWNED = "-"  # instead of a digest, where the value is its owner's


@dataclass(frozen=True)
class Provenance:
    """Where the values of a track or an album come from.

    Attributes
    ----------
    digests : mapping of str to str
        Field to the digest of the value that we wrote.
    owned : frozenset of str
        Fields that are left to the owner of the library.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    owned: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, values: Mapping[str, Any], owned: Iterable[str] = ()
    ) -> Provenance:
        """Return the provenance of values that are about to be written."""
        digests = {name: _digest(value) for name, value in values.items()}
        return cls(digests, frozenset(owned))

    @classmethod
    def from_field(cls, model: Model) -> Provenance | None:
        """Read the provenance; None if we have never written a value."""
        stored = own_value(model, WRITTEN)
        return None if stored is None else cls.parse(stored)

    @classmethod
    def parse(cls, stored: str) -> Provenance:
        """Return the provenance that the text of a field describes."""
        parts = (part.partition("=") for part in stored.split())
        pairs = {name: digest for name, _, digest in parts}
        owned = frozenset(name for name in pairs if pairs[name] == OWNED)
        digests = {name: pairs[name] for name in pairs.keys() - owned}
        return cls(digests, owned)

    def to_field(self, model: Model) -> None:
        """Set the field that :meth:`from_field` reads."""
        pairs = {**self.digests, **dict.fromkeys(self.owned, OWNED)}
        model[WRITTEN] = " ".join(
            f"{name}={pairs[name]}" for name in sorted(pairs)
        )

    def is_ours(self, name: str, value: Any) -> bool:
        """Return whether a value is ours, or there is none.

        Parameters
        ----------
        name
            The field. A field that we never wrote counts as ours.
        value
            Its current value.
        """
        digest = _digest(value)
        if digest == NONE:
            return True
        return name not in self.owned and digest == self.digests.get(
            name, digest
        )

    def knows(self, name: str) -> bool:
        """Return whether it says where the value of a field comes from."""
        return name in self.digests or name in self.owned

    def wrote(self, name: str, value: Any) -> bool:
        """Return whether we wrote this value to a field."""
        return self.digests.get(name) == _digest(value)

    def gave(self, name: str) -> bool:
        """Return whether we gave a field a value, rather than none."""
        return self.digests.get(name, NONE) != NONE

    def leave(self, names: Iterable[str]) -> Provenance:
        """Return the provenance with more fields left to the owner."""
        owned = self.owned | {*names}
        kept = {
            name: digest
            for name, digest in self.digests.items()
            if name not in owned
        }
        return Provenance(kept, owned)


def is_blank(value: Any) -> bool:
    """Return whether a value says nothing, as an empty tag of a file does."""
    if isinstance(value, float):
        return False
    texts = value if isinstance(value, list) else [value or ""]
    return not any(str(text).strip() for text in texts)


def _digest(value: Any) -> str:
    plain = None if is_blank(value) else value
    if isinstance(plain, float):
        plain = f"{plain:.4f}"
    encoded = repr(plain).encode(errors="surrogateescape")
    return hashlib.blake2b(encoded, digest_size=DIGEST_SIZE).hexdigest()


NONE = _digest(None)
